"""Whether artifacts go by sessions and links that the server hands out, or by a role of one's own at the bucket."""

# google-auth has no types.
# pyright: reportUnknownMemberType=false
from __future__ import annotations

import os
from functools import lru_cache

import google.auth
from google.auth.exceptions import DefaultCredentialsError

from mlflow_google import hosts
from mlflow_google.errors import CredentialError

CHOICE, LINKS, BUCKET = "MLFLOW_GOOGLE_ARTIFACTS", "links", "bucket"


def links_are_wanted() -> bool:
    """Returns what MLFLOW_GOOGLE_ARTIFACTS says; if it says nothing, links where there is no credential of Google's.

    Raises:
        CredentialError: It says something else.
    """
    choice = os.environ.get(CHOICE, "")
    if choice not in ("", LINKS, BUCKET):
        raise CredentialError(f"{CHOICE} is {LINKS} or {BUCKET}, and not {choice!r}")
    if choice:
        return choice == LINKS
    emulated = os.environ.get("STORAGE_EMULATOR_HOST")
    return not emulated and bool(hosts.origin(hosts.tracking_uri())) and not has_credential()


@lru_cache(maxsize=1)
def has_credential() -> bool:
    """Returns whether this machine has a credential that Google's libraries find; it does not change meanwhile."""
    try:
        google.auth.default()
    except DefaultCredentialsError:
        return False
    return True
