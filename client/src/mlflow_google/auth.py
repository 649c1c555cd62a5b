"""Puts the token on a request, and repeats a request once whose token the gate refused."""

from __future__ import annotations

import logging
import os
import threading
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from requests.auth import AuthBase

from mlflow_google import hosts
from mlflow_google.errors import CredentialError, RefusedError
from mlflow_google.tokens import Tokens, clock

DENIED = (401, 403)
SKEW_S = 60
# The gate's own refusals carry this; MLflow's 403 (permissions, locations) do not, and are none of our business.
CHALLENGE = 'bearer realm="mlflow"'
logger = logging.getLogger("mlflow_google")


class GoogleAuth(AuthBase):
    """Signs the requests of one process to the tracking server.

    Args:
        tokens: Where tokens come from.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Puts the token on the request, if it goes to the tracking server.

        Raises:
            CredentialError: There is none.
        """
        url = request.url or ""
        if not hosts.may_have_token(url):
            self._tell_once(f"no token is sent to {hosts.origin(url) or url}: it is not MLFLOW_TRACKING_URI over https")
            return request
        if os.environ.get("MLFLOW_TRACKING_TOKEN"):
            self._tell_once("MLFLOW_TRACKING_TOKEN is ignored, because MLFLOW_TRACKING_AUTH=google; unset one of them")
        token = self._tokens.get(hosts.audience(url))
        request.headers["Authorization"] = f"Bearer {token.text}"
        body: Any = request.body
        start: int | None = body.tell() if hasattr(body, "tell") else None

        def repeat(answer: requests.Response, **options: object) -> requests.Response:
            return self._repeat_once(answer, token.text, start, options)

        request.register_hook("response", repeat)
        return request

    def address(self) -> str:
        """Returns whose tokens these are; empty while there is none."""
        token = self._tokens.peek()
        return token.email if token else ""

    def _repeat_once(
        self, answer: requests.Response, sent: str, start: int | None, options: dict[str, Any]
    ) -> requests.Response:
        if not was_refused(answer) or answer.request.headers.get("Authorization") != f"Bearer {sent}":
            return answer
        url = answer.request.url or ""
        token = self._tokens.get(hosts.audience(url), instead_of=sent)
        answer.content  # noqa: B018  read to its end, the connection can be used again
        answer.close()
        repeated = answer.request.copy()
        if start is not None:
            body: Any = repeated.body
            body.seek(start)
        repeated.headers["Authorization"] = f"Bearer {token.text}"
        second = answer.connection.send(repeated, **options)
        second.history.append(answer)
        second.request = repeated
        if was_refused(second):
            raise RefusedError(why_refused(second, token.email, token.audience, token.expires))
        return second

    def _tell_once(self, text: str) -> None:
        with self._lock:
            new = text not in self._told
            self._told.add(text)
        if new:
            logger.warning(text)


def was_refused(answer: requests.Response) -> bool:
    """Tells whether the gate refused the token."""
    return answer.status_code in DENIED and CHALLENGE in answer.headers.get("WWW-Authenticate", "").lower()


def why_refused(answer: requests.Response, email: str, audience: str, expires: float) -> str:
    """Says who was refused, and what to do."""
    facts = f"{email or 'an account without an address'} (audience {audience}, until {clock(expires)})"
    skew = clock_skew(answer)
    if abs(skew) > SKEW_S:
        return (
            f"{hosts.origin(answer.url)} refused the token of {facts}. This machine's clock is {abs(skew):.0f} s"
            f" {'behind' if skew > 0 else 'ahead'}: set it, then repeat."
        )
    return (
        f"{hosts.origin(answer.url)} refused the token of {facts}. Is this the account that you mean? It must be among"
        " the service's access.emails, access.service_accounts or access.email_domains, and the audience must be the"
        " service's address."
        " Set GOOGLE_APPLICATION_CREDENTIALS or MLFLOW_GOOGLE_IMPERSONATE to choose another one;"
        " `mlflow-google doctor` shows more."
    )


def clock_skew(answer: requests.Response) -> float:
    """Returns by how many seconds the server's clock is ahead of this machine's; 0 when it does not say."""
    try:
        theirs = parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, TypeError, ValueError):
        return 0
    import datetime as dt  # noqa: PLC0415  only on the way to an error

    return (theirs - dt.datetime.now(dt.UTC)).total_seconds()


AUTH = GoogleAuth(Tokens())


def session() -> requests.Session:
    """Returns a session whose requests carry the token, for OpenTelemetry's exporter."""
    made = requests.Session()
    made.auth = AUTH
    return made


__all__ = ["AUTH", "CredentialError", "GoogleAuth", "RefusedError", "session"]
