"""The ladder of credentials: how each kind that Google's libraries know becomes an identity token for an audience.

Which kind gives what: https://cloud.google.com/docs/authentication/get-id-token
"""

# google-auth has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import google.auth
import google.auth.transport.requests
from google.auth import compute_engine, exceptions, external_account, impersonated_credentials
from google.oauth2 import credentials as people
from google.oauth2 import service_account

from mlflow_google.errors import CredentialError

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
IMPERSONATE = "MLFLOW_GOOGLE_IMPERSONATE"
FILE = "GOOGLE_APPLICATION_CREDENTIALS"
GCLOUD_TIMEOUT_S = 60
ANSWER_S = 10
NO_CREDENTIALS = (
    "no Google credentials were found. On your own machine run `gcloud auth application-default login` (or `gcloud auth"
    " login`); on Google Cloud attach a service account; elsewhere set GOOGLE_APPLICATION_CREDENTIALS to a credential"
    " configuration of workload identity federation. https://cloud.google.com/docs/authentication/application-default-credentials"
)
NO_IDENTITY = (
    "workload identity federation without a service account has no identity tokens: let the configuration impersonate"
    " one (`gcloud iam workload-identity-pools create-cred-config --service-account=ACCOUNT`), or set"
    f" {IMPERSONATE}=ACCOUNT. https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds"
)
# What Google sets where there is a metadata server: Cloud Run's services and jobs, GKE, Vertex AI.
# https://cloud.google.com/run/docs/container-contract#env-vars
MARKS = (
    "GCE_METADATA_HOST",
    "K_SERVICE",
    "CLOUD_RUN_JOB",
    "KUBERNETES_SERVICE_HOST",
    "CLOUD_ML_PROJECT_ID",
)


@dataclass(frozen=True)
class Token:
    """An identity token.

    Attributes:
        text: What is sent. It is not shown.
        source: The kind of credential that it comes from.
        received: When it came, in seconds by `time.time()`.
    """

    text: str = field(repr=False)
    source: str
    received: float = field(default_factory=lambda: time.time())  # noqa: PLW0108  by the clock of the moment

    @cached_property
    def claims(self) -> dict[str, Any]:
        """Returns the claims, unverified."""
        payload = self.text.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    @cached_property
    def expires(self) -> float:
        """When it ends, in seconds by `time.time()`, also where that clock is ahead of Google's."""
        end = float(self.claims["exp"])
        if end > self.received:
            return end
        return self.received + end - float(self.claims.get("iat", end))

    @property
    def email(self) -> str:
        """Returns the owner's address; empty if the token has none."""
        return str(self.claims.get("email", ""))

    @property
    def audience(self) -> str:
        """For whom it is."""
        return str(self.claims.get("aud", ""))


class Request(google.auth.transport.requests.Request):
    """Asks Google, and does not wait for minutes for an answer."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  as its base
        """Sends a request."""
        return super().__call__(*arguments, **{"timeout": ANSWER_S, **options})


class Ladder:
    """Asks for a new token with the first credential that there is.

    Files are read again each time, for they may have been replaced. That this machine has a metadata server is found
    out once: while the server is away, google-auth takes it for absent.
    """

    def __init__(self) -> None:
        self._on_google = False

    def __call__(self, audience: str) -> Token:
        """Asks for a new token.

        Args:
            audience: For whom it is: the service's address.

        Raises:
            CredentialError: None can be had with what there is.
            google.auth.exceptions.GoogleAuthError: Google refused, or gave no answer (`errors.passes`).
            requests.RequestException: Google gave no answer.
        """
        target = os.environ.get(IMPERSONATE, "")
        try:
            found = self._found()
        except exceptions.DefaultCredentialsError as error:
            if os.environ.get(FILE):
                raise CredentialError(f"{FILE}={os.environ[FILE]} is no credential: {error}") from error
            if shutil.which("gcloud"):
                return from_gcloud(audience, target)
            if has_metadata_server():
                raise exceptions.TransportError("the metadata server does not answer") from error
            raise CredentialError(f"{NO_CREDENTIALS} ({error})") from error
        if target:
            return as_service_account(found, target, audience, f"{kind_of(found)}, impersonating {target}")
        return of_credentials(found, audience)

    def _found(self) -> object:
        if self._on_google and not os.environ.get(FILE):
            return compute_engine.Credentials()
        found, _ = google.auth.default(scopes=SCOPES, request=Request())
        self._on_google = isinstance(found, compute_engine.Credentials)
        return found


def has_metadata_server() -> bool:
    """Returns whether this program runs where Google has a metadata server, as the environment says."""
    return os.environ.get("NO_GCE_CHECK") != "true" and any(os.environ.get(name) for name in MARKS)


def of_credentials(found: object, audience: str) -> Token:
    """Returns the token of what application-default credentials are."""
    request, source = Request(), kind_of(found)
    if isinstance(found, compute_engine.Credentials):
        made = compute_engine.IDTokenCredentials(request, audience, use_metadata_identity_endpoint=True)
    elif isinstance(found, service_account.Credentials):
        made = service_account.IDTokenCredentials(
            found.signer,
            found.service_account_email,
            found._token_uri,  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  it has no public reader
            audience,
        )
    elif isinstance(found, external_account.Credentials):
        return of_federation(found, audience)
    elif isinstance(found, impersonated_credentials.Credentials):
        made = impersonated_credentials.IDTokenCredentials(found, audience, include_email=True)
    elif isinstance(found, people.Credentials):
        return of_person(found)
    else:
        raise CredentialError(
            f"credentials of the kind {type(found).__name__} have no identity token: set {IMPERSONATE}=ACCOUNT to use"
            " that of a service account"
        )
    made.refresh(request)
    return Token(str(made.token), source)


def of_person(found: people.Credentials) -> Token:
    """Returns the token of a person's application-default login; its audience is Google's client, whatever is asked."""
    found.refresh(Request())
    if not found.id_token:
        raise CredentialError(
            f"your application-default login gives no identity token: run `gcloud auth application-default login`"
            f" again, or set {IMPERSONATE}=ACCOUNT"
        )
    return Token(found.id_token, kind_of(found))


def of_federation(found: external_account.Credentials, audience: str) -> Token:
    """Returns the token of the account that a federated identity may be.

    The federated token itself asks for it: an account need not be allowed to impersonate itself.
    """
    account = found.service_account_email
    if not account:
        raise CredentialError(NO_IDENTITY)
    plain = {name: value for name, value in found.info.items() if not name.startswith("service_account_impersonation")}
    federated, _ = google.auth.load_credentials_from_dict(plain, scopes=SCOPES)
    return as_service_account(federated, account, audience, kind_of(found))


def as_service_account(own: object, account: str, audience: str, source: str) -> Token:
    """Returns the token of an account that these credentials may impersonate."""
    target = impersonated_credentials.Credentials(own, target_principal=account, target_scopes=SCOPES)
    made = impersonated_credentials.IDTokenCredentials(target, audience, include_email=True)
    made.refresh(Request())
    return Token(made.token, source)


def from_gcloud(audience: str, account: str) -> Token:
    """Returns the token that gcloud prints: a person's has Google's client as its audience, whatever is asked."""
    as_account = [f"--impersonate-service-account={account}", f"--audiences={audience}", "--include-email"]
    command = ["gcloud", "auth", "print-identity-token", "--quiet", *(as_account if account else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GCLOUD_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise exceptions.TransportError(f"`{' '.join(command)}` gave no answer for {GCLOUD_TIMEOUT_S} s") from error
    if done.returncode:
        said = " ".join(done.stderr.split()) or "it said nothing"
        raise exceptions.RefreshError(f"`{' '.join(command)}` failed: {said}")
    return Token(done.stdout.strip(), f"gcloud, impersonating {account}" if account else "gcloud")


def kind_of(found: object) -> str:
    """Names a credential for people."""
    kinds = {
        compute_engine.Credentials: "the machine's service account (metadata server)",
        service_account.Credentials: "a service account's key file",
        impersonated_credentials.Credentials: "an impersonated service account",
        people.Credentials: "a person's application-default login",
    }
    for kind, name in kinds.items():
        if isinstance(found, kind):
            return name
    return "workload identity federation" if isinstance(found, external_account.Credentials) else type(found).__name__
