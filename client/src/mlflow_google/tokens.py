"""One token an audience, renewed in time by one thread, and never at the cost of one that still lives."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from typing import TYPE_CHECKING

from google.auth import exceptions
from requests import RequestException

from mlflow_google.credentials import Ladder
from mlflow_google.errors import CredentialError, explained, passes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_google.credentials import Token

REFRESH_BEFORE_S = 300
# A token of seconds, as in a test, is renewed in the last half of its life.
REFRESH_BEFORE_SHARE = 0.5
# How long Google is asked while there is no token, by hundreds of processes that start at once as well: one metadata
# server answers some of them 429 or not at all.
PATIENCE_S = 120
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8
RETRY_AFTER_S = 15
logger = logging.getLogger("mlflow_google")


class Tokens:
    """The tokens of this process, by audience.

    Args:
        fetch: Asks for a new one.
    """

    def __init__(self, fetch: Callable[[str], Token] | None = None) -> None:
        self._fetch = fetch or Ladder()
        self._tokens: dict[str, Token] = {}
        self._ask_again_at: dict[str, float] = {}
        self._failed: dict[str, tuple[float, str]] = {}
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
        token = self._living(audience, instead_of)
        if token and not is_due(token):
            return token
        if token and (self._lock.locked() or time.monotonic() < self._ask_again_at.get(audience, 0)):
            return token  # somebody is on it, or was just refused: nobody waits while the old one is good
        came = time.monotonic()
        with self._lock:
            token = self._living(audience, instead_of)
            if token and not is_due(token):
                return token
            failed_at, why = self._failed.get(audience, (0.0, ""))
            if not token and failed_at > came:
                raise CredentialError(why)  # somebody asked for as long as this thread waited
            return self._renew(audience, instead_of)

    def peek(self) -> Token | None:
        """Returns the token that came last, if there is one."""
        return max(self._tokens.values(), key=lambda token: token.received, default=None)

    def _living(self, audience: str, instead_of: str) -> Token | None:
        token = self._tokens.get(audience)
        return token if token and token.text != instead_of and token.expires > time.time() else None

    def _renew(self, audience: str, instead_of: str) -> Token:
        while True:
            token = self._living(audience, instead_of)
            try:
                new = fetch_patiently(self._fetch, audience, patience_s=0 if token else PATIENCE_S)
            except CredentialError as error:
                if not token:
                    self._failed[audience] = (time.monotonic(), str(error))
                    raise
                if self._living(audience, instead_of):  # else it has ended meanwhile
                    pause = min(RETRY_AFTER_S, (token.expires - token.received) / 10)
                    self._ask_again_at[audience] = time.monotonic() + pause
                    logger.warning("No new token yet, the old one is good until %s: %s", clock(token.expires), error)
                    return token
            else:
                self._tokens[audience] = new
                return new


def is_due(token: Token) -> bool:
    """Returns whether it is time for another one."""
    lifetime = token.expires - token.received
    return time.time() >= token.expires - min(REFRESH_BEFORE_S, lifetime * REFRESH_BEFORE_SHARE)


def fetch_patiently(fetch: Callable[[str], Token], audience: str, *, patience_s: float = PATIENCE_S) -> Token:
    """Asks for a token, again and again with growing pauses of random length while Google gives no answer.

    Raises:
        CredentialError: It was refused, or was not to be had in the end.
    """
    end, attempt = time.monotonic() + patience_s, 0
    while True:
        try:
            return fetch(audience)
        except (exceptions.GoogleAuthError, RequestException) as error:
            if not passes(error):
                raise CredentialError(explained(error)) from error
            pause = random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt))  # noqa: S311  spreads those who ask
            if time.monotonic() + pause >= end:
                raise CredentialError(f"Google gave no answer for {patience_s:.0f} s: {error}") from error
            if attempt == 0:
                logger.warning("Google gives no token yet; it is asked again for %.0f s: %s", patience_s, error)
        except OSError as error:  # a certificate or program that is named and not there
            raise CredentialError(str(error)) from error
        attempt += 1
        time.sleep(pause)


def clock(seconds: float) -> str:
    """Returns a time for people, with its zone."""
    return time.strftime("%H:%M:%S UTC", time.gmtime(seconds))
