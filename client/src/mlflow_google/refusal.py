"""Whether the gate refused a token, and why."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from mlflow_google import hosts
from mlflow_google.tokens import clock

if TYPE_CHECKING:
    import requests

    from mlflow_google.credentials import Token

UNAUTHORIZED, FORBIDDEN = 401, 403
SKEW_S = 60
LONGEST_MESSAGE = 400
# The clients for which people get tokens, and the setting of the service that takes them.
CLIENTS = {
    # https://cloud.google.com/docs/authentication/provide-credentials-adc#local-dev
    "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com": "access.adc_tokens",
    # https://cloud.google.com/sdk/gcloud/reference/auth/print-identity-token
    "32555940559.apps.googleusercontent.com": "access.gcloud_tokens",
}


def was_refused(answer: requests.Response) -> bool:
    """Returns whether a gate refused the token; MLflow's own 403 (permissions, locations) is plain JSON."""
    if answer.status_code == UNAUTHORIZED:
        return True
    challenge, kind = answer.headers.get("WWW-Authenticate", ""), answer.headers.get("Content-Type", "")
    return answer.status_code == FORBIDDEN and ("bearer" in challenge.lower() or "json" not in kind)


def why_refused(answer: requests.Response, token: Token) -> str:
    """Says who was refused, why as far as is known, what to do, and what the gate said."""
    return f"{_cause(answer, token)} It said: {answer.status_code} {message_of(answer)}"


def message_of(answer: requests.Response) -> str:
    """Returns what an answer says to people, shortened."""
    try:
        said = str(answer.json()["message"])
    except (KeyError, TypeError, ValueError):
        said = answer.text
    return " ".join(said.split())[:LONGEST_MESSAGE]


def _cause(answer: requests.Response, token: Token) -> str:
    server = hosts.origin(answer.url)
    said = f"{server} refused the token of {token.email or 'an account without an address'}"
    facts = f"{said} (audience {token.audience}, until {clock(token.expires)})."
    skew = clock_skew(answer)
    if abs(skew) > SKEW_S:
        return f"{facts} This machine's clock is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead'}: set it."
    if not token.email:
        return f"{facts} The service decides by the address: take a credential that has one."
    if setting := CLIENTS.get(token.audience):
        return (
            f"{facts} Tokens of people are for that client of Google's, whatever the service; it takes them with"
            f" {setting} = true. Otherwise set MLFLOW_GOOGLE_IMPERSONATE to a service account that is let in; you need"
            " roles/iam.serviceAccountOpenIdTokenCreator on it. And is this the account that you mean?"
        )
    return (
        f"{facts} Is this the account that you mean? It must be among the service's access.emails,"
        " access.service_accounts or access.email_domains, and the audience must be the service's address."
        " Set GOOGLE_APPLICATION_CREDENTIALS or MLFLOW_GOOGLE_IMPERSONATE to choose another one;"
        " `mlflow-google doctor` shows more."
    )


def clock_skew(answer: requests.Response) -> float:
    """Returns by how many seconds the server's clock is ahead of this machine's; 0 when it does not say."""
    try:
        theirs = parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, TypeError, ValueError):
        return 0
    return theirs.timestamp() - time.time()
