"""Assertions of Identity-Aware Proxy: those that prove an address, and all kinds that prove none."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING

from joserfc import jwt

from harness.service import USER
from harness.tokens import encoded
from localcloud.machine import iap as google_iap

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcloud.machine.iap import IdentityAwareProxy

AUDIENCE = "/projects/123456789012/locations/europe-west1/services/mlflow"
HEADER = google_iap.ASSERTION_HEADER


def ago(seconds: float) -> dict[str, object]:
    """Claims of an assertion that has ended so many seconds ago."""
    now = int(time.time())
    return {"iat": now - 600, "exp": int(now - seconds)}


def in_the_future(seconds: float) -> dict[str, object]:
    now = int(time.time() + seconds)
    return {"iat": now, "exp": now + 600}


def claims(proxy: IdentityAwareProxy) -> dict[str, object]:
    return jwt.decode(proxy.assertion(AUDIENCE, USER), proxy.key, algorithms=["ES256"]).claims


def unsigned(proxy: IdentityAwareProxy) -> str:
    return f"{encoded({'alg': 'none', 'typ': 'JWT', 'kid': proxy.key.kid})}.{encoded(claims(proxy))}."


def public_key_as_secret(proxy: IdentityAwareProxy) -> str:
    content = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': proxy.key.kid})}.{encoded(claims(proxy))}"
    digest = hmac.digest(proxy.key.as_pem(private=False), content.encode(), hashlib.sha256)
    return f"{content}.{google_iap.base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def of_another_key(proxy: IdentityAwareProxy) -> str:
    other = google_iap.new_key()
    return jwt.encode({"alg": "ES256", "typ": "JWT", "kid": proxy.key.kid}, claims(proxy), other)


def with_header(**changes: object) -> Callable[[IdentityAwareProxy], str]:
    def made(proxy: IdentityAwareProxy) -> str:
        header = {"alg": "ES256", "typ": "JWT", "kid": proxy.key.kid} | changes
        return jwt.encode({name: it for name, it in header.items() if it is not None}, claims(proxy), proxy.key)

    return made


def with_claims(**changes: object) -> Callable[[IdentityAwareProxy], str]:
    return lambda proxy: proxy.assertion(AUDIENCE, USER, **changes)


def at(when: Callable[[float], dict[str, object]], seconds: float) -> Callable[[IdentityAwareProxy], str]:
    """Claims of a time, counted from when they are made."""
    return lambda proxy: proxy.assertion(AUDIENCE, USER, **when(seconds))


def another_payload(proxy: IdentityAwareProxy) -> str:
    header, _, signature = proxy.assertion(AUDIENCE, "eve@evil.test").split(".")
    return f"{header}.{encoded(claims(proxy))}.{signature}"


REFUSED: dict[str, Callable[[IdentityAwareProxy], str]] = {
    "empty": lambda _: "",
    "no token": lambda _: "ada@example.com",
    "two tokens in one header": lambda proxy: f"{proxy.assertion(AUDIENCE, USER)}, {proxy.assertion(AUDIENCE, USER)}",
    "alg none": unsigned,
    "public key as HMAC secret": public_key_as_secret,
    "another key under the name of Google's": of_another_key,
    "an unknown key": with_header(kid="unknown"),
    "a key without a name": with_header(kid=None),
    "payload exchanged": another_payload,
    "another service of the project": with_claims(aud="/projects/123456789012/locations/europe-west1/services/other"),
    "the service of the same name elsewhere": with_claims(aud=AUDIENCE.replace("europe-west1", "us-central1")),
    "another project": with_claims(aud=AUDIENCE.replace("123456789012", "210987654321")),
    "the backend of a load balancer": with_claims(aud="/projects/123456789012/global/backendServices/4242"),
    "an application of App Engine": with_claims(aud="/projects/123456789012/apps/acme-ml-prod"),
    "a list of audiences": with_claims(aud=[AUDIENCE]),
    "no audience": with_claims(aud=None),
    "another issuer": with_claims(iss="https://accounts.google.com"),
    "no issuer": with_claims(iss=None),
    "expired": at(ago, 60),
    "from the future": at(in_the_future, 120),
    "no end": with_claims(exp=None),
    "no beginning": with_claims(iat=None),
    "times that are no numbers": with_claims(iat="yesterday", exp="never"),
    "no address": with_claims(email=None),
    "an address that is a number": with_claims(email=1),
    "two addresses": with_claims(email="ada@example.com,eve@example.com"),
    "no @": with_claims(email="ada"),
    "an address of Identity Platform": with_claims(
        sub="securetoken.google.com/acme/tenant:1", email="securetoken.google.com/acme/tenant:ada@example.com"
    ),
    "a plain address of Identity Platform": with_claims(sub="securetoken.google.com/acme:1"),
    "an identity of a workforce pool": with_claims(sub="sts.google.com:1", email="ada@example.com"),
    "no subject": with_claims(sub=None),
}

ACCEPTED: dict[str, Callable[[IdentityAwareProxy], str]] = {
    "as IAP makes it": with_claims(),
    "the address in upper case": with_claims(email="Ada@Example.COM"),
    "the address with its name space": with_claims(email=f"accounts.google.com:{USER}"),
    "a subject without its name space": with_claims(sub="1123581321"),
    "a clock that is 20 s behind": at(in_the_future, 20),
    "a clock that is 20 s ahead": at(ago, 20),
}
