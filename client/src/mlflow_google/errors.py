"""Google's refusals to give a token, their meaning, and what to do about them."""

# google-auth has no types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

import re

import requests
from google.auth import exceptions

# A refusal names itself. Whatever else comes (a 5xx with any body, a proxy's page, a broken connection) passes.
REFUSAL = re.compile(
    r"invalid_|unauthorized_|access_denied|PERMISSION_DENIED|UNAUTHENTICATED|NOT_FOUND|INVALID_ARGUMENT"
    r"|FAILED_PRECONDITION|reauth|gcloud auth login|'code': 4(?!29)\d\d|\bStatus: 4(?!29)\d\d",
    re.IGNORECASE,
)
SIGN_IN = "Google wants you to sign in again: run `gcloud auth application-default login`, then repeat."
SIGN_IN_GCLOUD = "Google wants you to sign in again: run `gcloud auth login`, then repeat."
# What Google's texts mean; the first that fits counts.
MEANINGS = {
    r"reasonable timeframe": "this machine's clock is wrong, therefore Google takes nothing that it signs: set it.",
    r"Invalid JWT|account not found": "the key file is no longer valid: its key or its account was deleted. Make"
    " another one, or better none: attach a service account, or use workload identity federation.",
    r"SERVICE_DISABLED|has not been used in project": "the API that makes tokens of service accounts is off: run"
    " `gcloud services enable iamcredentials.googleapis.com`.",
    r"iam\.serviceAccounts|PERMISSION_DENIED": "this credential may not make identity tokens of the service account:"
    " it needs roles/iam.serviceAccountOpenIdTokenCreator (or ...TokenCreator) on it.",
    r"metadata\s+service.*Status: 404": "this machine has no service account: attach one, or set"
    " GOOGLE_APPLICATION_CREDENTIALS.",
    r"gcloud auth login": SIGN_IN_GCLOUD,
    r"reauth|invalid_grant|invalid_rapt": SIGN_IN,
}
OUTSIDE = (
    "workload identity federation refused this program: the outside token has expired, or the pool's condition does not"
    " let it in. In GitHub Actions the job needs `permissions: id-token: write`."
)


class CredentialError(Exception):
    """No token can be had; the message says why and what to do."""


class TransferError(Exception):
    """A file did not arrive at the bucket or from it; the message says why, and no address that opens something."""


class RefusedError(Exception):
    """The service refused a token; the message says whose, for whom, and what to do."""


def passes(error: Exception) -> bool:
    """Returns whether asking again may help: nobody has refused, something did not answer."""
    if isinstance(error, exceptions.DefaultCredentialsError):
        return False
    if isinstance(error, exceptions.GoogleAuthError):
        return bool(error.retryable) or not REFUSAL.search(str(error))
    return isinstance(error, requests.RequestException)


def explained(error: Exception) -> str:
    """Returns what an error of Google's libraries means, what to do, and its own words."""
    text = " ".join(str(error).split())
    if isinstance(error, exceptions.OAuthError):
        return f"{OUTSIDE} Google said: {text}"
    for pattern, meaning in MEANINGS.items():
        if re.search(pattern, text, re.IGNORECASE):
            return f"{meaning} Google said: {text}"
    return f"Google gave no token: {text}"
