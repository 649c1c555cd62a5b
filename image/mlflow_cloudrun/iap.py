"""Identity-Aware Proxy as the gate: each request carries Google's assertion of who sent it, and is checked by it.

It is signed, and says for which service and for how long it holds. The other headers of IAP prove nothing: whoever
reaches the container could write them. https://cloud.google.com/iap/docs/signed-headers-howto
"""

import asyncio
import logging
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

import requests
from google.auth import jwt

from mlflow_cloudrun.bodies import Stream
from mlflow_cloudrun.identity import USER_HEADER, asked
from mlflow_cloudrun.logs import App, Message, Receive, Send
from mlflow_cloudrun.refusals import refuse

HEADER = b"x-goog-iap-jwt-assertion"
ISSUER, ALGORITHM, SKEW_S = "https://cloud.google.com/iap", "ES256", 30
GOOGLE_KEYS = "https://www.gstatic.com/iap/verify/public_key"
GOOGLE_ACCOUNTS = "accounts.google.com:"
ADDRESS = re.compile(r"[^@\s:,\"<>]+@[^@\s:,\"<>]+")
FETCH_S = 5
RENEW_S, RETRY_S, LONGEST_S = 3600, 30, 24 * 3600
logger = logging.getLogger("iap")

Fetch = Callable[[str], dict[str, str]]
Now = Callable[[], float]


class RefusedError(Exception):
    """The assertion does not prove who sent the request; says why, for the log."""


class KeysUnavailableError(Exception):
    """Google's keys are not known, or have not been fetched for too long."""


def fetch(url: str) -> dict[str, str]:
    """Returns Google's keys in PEM, by their ids.

    Raises:
        requests.RequestException: Nobody answers there, or not in time.
        ValueError: What answers is no list of keys.
    """
    answer = requests.get(url, timeout=FETCH_S, allow_redirects=False)
    answer.raise_for_status()
    found: object = answer.json()
    keys = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    if not keys or not all("PUBLIC KEY" in str(key) for key in keys.values()):
        raise ValueError("no public keys")
    return {name: str(key) for name, key in keys.items()}


class Keys:
    """Google's keys: fetched when a request needs them, and again each hour, or when a key is new.

    A key that nobody knows costs one fetch in half a minute, however often it is named. While Google cannot be reached,
    what was fetched stays good for a day: a key that Google has withdrawn must end some time.
    """

    def __init__(self, url: str, *, fetch: Fetch = fetch, now: Now = time.monotonic) -> None:
        self._url, self._fetch, self._now = url, fetch, now
        self._keys: dict[str, str] = {}
        self._fetched = self._tried = -math.inf
        self._failing = False
        self._renewal: asyncio.Task[None] | None = None

    async def named(self, name: str) -> str | None:
        """Returns the key of an id; None if Google has none of it.

        Raises:
            KeysUnavailableError: It cannot be said.
        """
        age = self._now() - self._fetched
        if age >= RENEW_S or name not in self._keys:
            renewal = self._renew()
            if name not in self._keys or age >= LONGEST_S:  # others go on with the keys that there are
                await asyncio.shield(renewal)
        if self._now() - self._fetched >= LONGEST_S:
            raise KeysUnavailableError
        return self._keys.get(name)

    def _renew(self) -> asyncio.Task[None]:
        if self._renewal is None or (self._renewal.done() and self._now() - self._tried >= RETRY_S):
            self._tried = self._now()
            self._renewal = asyncio.create_task(self._fetch_all())
        return self._renewal

    async def _fetch_all(self) -> None:
        try:
            self._keys = await asyncio.to_thread(self._fetch, self._url)
        except (requests.RequestException, ValueError) as error:
            if not self._failing:
                left = LONGEST_S - (self._now() - self._fetched)
                until = f"those that are known are used for {left / 3600:.0f} h" if left > 0 else "nobody gets in"
                logger.warning("The keys of IAP cannot be fetched from %s, %s: %s", self._url, until, error)
            self._failing = True
            return
        if self._failing:
            logger.info("The keys of IAP are fetched again")
        self._failing, self._fetched = False, self._now()


async def proven_address(assertions: Sequence[bytes], audience: str, keys: Keys) -> str:
    """Returns whose request it is, in lower case, by the assertions in its headers.

    Args:
        assertions: All that it has; a good one does not make up for another.
        audience: The service, /projects/NUMBER/locations/REGION/services/NAME.
        keys: Google's.

    Raises:
        RefusedError: It is not proven.
        KeysUnavailableError: It cannot be checked.
    """
    if len(assertions) != 1:
        raise RefusedError(f"{len(assertions)} assertions")
    token = assertions[0]
    try:
        header: Any = jwt.decode_header(token)  # pyright: ignore[reportUnknownMemberType]  it has no types
        name = header.get("kid")
        # The key's own: one that the token names could be that of a weaker check.
        if header.get("alg") != ALGORITHM or not isinstance(name, str):
            raise RefusedError("not signed as IAP does")
        if (key := await keys.named(name)) is None:
            raise RefusedError("signed with a key that Google does not have")
        claims: Any = jwt.decode(  # pyright: ignore[reportUnknownMemberType]  likewise
            token, certs={name: key}, audience=audience, clock_skew_in_seconds=SKEW_S
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise RefusedError(str(error)) from error
    if claims.get("iss") != ISSUER:
        raise RefusedError("of another issuer")
    return _address(claims)


def _address(claims: Mapping[str, object]) -> str:
    """Identities that are none of Google's, such as Identity Platform's, may call themselves as they like."""
    subject, email = claims.get("sub"), claims.get("email")
    if not isinstance(subject, str) or (":" in subject and not subject.startswith(GOOGLE_ACCOUNTS)):
        raise RefusedError("of an identity that is no account of Google")
    address = email.removeprefix(GOOGLE_ACCOUNTS) if isinstance(email, str) else ""
    if not ADDRESS.fullmatch(address):
        raise RefusedError("without an e-mail address")
    return address.lower()


class Assertions:
    """ASGI middleware: takes in who IAP has proven to be somebody, and says who it is; nobody else gets in."""

    def __init__(self, app: App, *, audience: str, keys: Keys) -> None:
        self.app, self.audience, self.keys = app, audience, keys

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes on what is proven, and start.sh's own probe, which comes around the edge and has no assertion."""
        assertions = [value for name, value in scope.get("headers", ()) if name == HEADER]
        if scope["type"] == "lifespan" or (scope["path"] == "/health" and not assertions):
            await self.app(scope, receive, send)
            return
        try:
            address = await proven_address(assertions, self.audience, self.keys)
        except RefusedError as error:
            logger.warning("A request was refused: %s", error)
            await Stream(receive).drain()
            message = "The assertion of Identity-Aware Proxy is not good for this service: open it by its own address."
            await refuse(send, HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED", message)
            return
        except KeysUnavailableError:
            await Stream(receive).drain()
            message = "The keys of Identity-Aware Proxy cannot be fetched: nobody can be let in. Try again."
            status = HTTPStatus.SERVICE_UNAVAILABLE
            await refuse(send, status, "TEMPORARILY_UNAVAILABLE", message, retry=True)
            return
        asked.get().by = address
        headers = [pair for pair in scope["headers"] if pair[0] != USER_HEADER]
        await self.app({**scope, "headers": [*headers, (USER_HEADER, address.encode())]}, receive, send)
