"""One token an audience, renewed in time by one thread, and never at the cost of one that still lives."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from typing import TYPE_CHECKING

from google.auth import exceptions

from mlflow_google import credentials
from mlflow_google.errors import CredentialError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_google.credentials import Token

REFRESH_BEFORE_S = 300
# A token of seconds, as in a test, is renewed in the last half of its life.
REFRESH_BEFORE_SHARE = 0.5
# Hundreds of processes that start at once ask one metadata server, which answers some of them 429 or not at all.
ATTEMPTS = 6
FIRST_PAUSE_S = 0.5
RETRY_AFTER_S = 15
logger = logging.getLogger("mlflow_google")


class Tokens:
    """The tokens of this process, by audience.

    Args:
        fetch: Asks for a new one.
    """

    def __init__(self, fetch: Callable[[str], Token] = credentials.fetch) -> None:
        self._fetch = fetch
        self._tokens: dict[str, Token] = {}
        self._failed_at: dict[str, float] = {}
        self._lock = threading.Lock()
        # A thread may hold the lock at the moment of a fork; the child has no such thread.
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget_lock)

    def _forget_lock(self) -> None:
        self._lock = threading.Lock()

    def get(self, audience: str, *, instead_of: str = "") -> Token:
        """Returns a token that lives.

        Args:
            audience: For whom it is.
            instead_of: A token that the service refused: any other one is returned, if need be a new one.

        Raises:
            CredentialError: None can be had; the message says what to do.
        """
        token = self._tokens.get(audience)
        if token and token.text != instead_of and not is_due(token):
            return token
        alive = token if token and token.text != instead_of and token.expires > time.time() else None
        if alive and (self._failed_lately(audience) or self._lock.locked()):
            return alive  # somebody is on it, or was just refused: nobody waits while the old one is good
        with self._lock:
            token = self._tokens.get(audience)
            if token and token.text != instead_of and not is_due(token):
                return token
            try:
                token = self._tokens[audience] = fetch_patiently(self._fetch, audience)
            except CredentialError as error:
                if not alive:
                    raise
                self._failed_at[audience] = time.monotonic()
                logger.warning("No new token yet, the old one is good until %s: %s", clock(alive.expires), error)
                return alive
            return token

    def peek(self) -> Token | None:
        """Returns the token that came last, if there is one."""
        return max(self._tokens.values(), key=lambda token: token.received, default=None)

    def _failed_lately(self, audience: str) -> bool:
        token, failed_at = self._tokens[audience], self._failed_at.get(audience)
        pause = min(RETRY_AFTER_S, (token.expires - token.received) / 10)
        return failed_at is not None and time.monotonic() < failed_at + pause


def is_due(token: Token) -> bool:
    """Tells whether it is time for another one."""
    lifetime = token.expires - token.received
    return time.time() >= token.expires - min(REFRESH_BEFORE_S, lifetime * REFRESH_BEFORE_SHARE)


def fetch_patiently(fetch: Callable[[str], Token], audience: str) -> Token:
    """Asks for a token, again and again with growing pauses of random length while Google cannot be reached.

    Raises:
        CredentialError: It was refused, or was not to be had in the end.
    """
    last: Exception | None = None
    for attempt in range(ATTEMPTS):
        try:
            return fetch(audience)
        except exceptions.RefreshError as error:
            if not error.retryable:  # pyright: ignore[reportUnknownMemberType]  google-auth has no types
                raise CredentialError(sentence(error)) from error
            last = error
        except exceptions.TransportError as error:
            last = error
        if attempt < ATTEMPTS - 1:
            time.sleep(random.uniform(0, FIRST_PAUSE_S * 2**attempt))  # noqa: S311  spreads those who ask
    raise CredentialError(f"Google did not answer {ATTEMPTS} times: {last}") from last


def sentence(error: exceptions.RefreshError) -> str:
    """Says what a refusal means and what to do."""
    text = str(error)
    if "iam.serviceAccounts" in text or "PERMISSION_DENIED" in text:
        return (
            "this credential may not make identity tokens of the service account: it needs"
            f" roles/iam.serviceAccountOpenIdTokenCreator (or ...TokenCreator) on it. Google said: {text}"
        )
    if "reauth" in text.lower() or "invalid_grant" in text:
        return f"{credentials.REAUTHENTICATE} Google said: {text}"
    return f"Google refused a token: {text}"


def clock(seconds: float) -> str:
    """Returns a time for people, with its zone."""
    return time.strftime("%H:%M:%S UTC", time.gmtime(seconds))
