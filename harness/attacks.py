"""Attacks on the sign-in, and the answer that each must get; docs/security.md shows these lists."""

import time
from collections.abc import Callable

from harness import tokens
from harness.service import DOMAIN, SEARCH, SERVICE_ACCOUNT, SERVICE_URL, USER
from localcloud.machine.identity import IdentityProvider

Token = Callable[[IdentityProvider], str]
WEBSOCKET_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOGLE_HEALTH_CHECK = "GoogleHC/1.0"


def altered(*, audience: str = SERVICE_URL, email: str | None = USER, **claims: object) -> Token:
    return lambda identity: tokens.good(identity, audience=audience, email=email, **claims)


def after(seconds: float) -> Token:
    """A token that is valid from so many seconds on."""
    return lambda identity: tokens.good(identity, nbf=int(time.time() + seconds))


def ended(seconds: float) -> Token:
    return lambda identity: tokens.good(identity, iat=int(time.time()) - 3600, exp=int(time.time() - seconds))


REFUSED: dict[str, Token] = {
    "wrong audience": altered(audience="https://elsewhere.run.app"),
    "no audience": altered(aud=None),
    "wrong issuer": altered(iss="https://accounts.evil.test"),
    "expired": ended(60),
    "another key": tokens.of_another_key,
    "public key as HMAC secret": tokens.of_the_public_key_as_hmac_secret,
    "alg none": tokens.unsigned,
    "signature removed by Google": tokens.stripped_by_google,
    "payload exchanged": tokens.with_another_payload,
    "foreign domain": altered(email="eve@evil.test"),
    "subdomain": altered(email=f"eve@sub.{DOMAIN}"),
    "suffix of the domain": altered(email=f"eve@not{DOMAIN}"),
    "domain as a prefix": altered(email=f"eve@{DOMAIN}.evil.test"),
    "two @": altered(email=f"eve@evil.test@{DOMAIN}@evil.test"),
    "no e-mail": altered(email=None),
    "e-mail not verified": altered(email_verified=False),
    "a private account on an address of the domain": altered(hd=None),
    "an account of another organization on an address of the domain": altered(hd="evil.test"),
    "an organization without a name": altered(hd=""),
    "service account of another project": altered(email="trainer@other.iam.gserviceaccount.com"),
    "another service account of the project": altered(email="other@demo-project.iam.gserviceaccount.com"),
}

ACCEPTED: dict[str, Token] = {
    "a person of the domain": altered(),
    "the named service account": altered(email=SERVICE_ACCOUNT),
    "a list of audiences": altered(aud=["https://elsewhere.run.app", SERVICE_URL]),
    "e-mail not said to be verified": altered(email_verified=None),
    "upper case": altered(email=USER.upper()),
    "organization in upper case": altered(hd=DOMAIN.upper()),
    "the named service account, with gcloud's claims": altered(email=SERVICE_ACCOUNT, hd=None),
}

# (method, path, headers, expected status) of calls without a credential.
WITHOUT_CREDENTIAL: list[tuple[str, str, dict[str, str], int]] = [
    ("GET", "/", {}, 302),
    ("GET", "/", {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": WEBSOCKET_KEY}, 302),
    ("GET", "//api/2.0/mlflow/experiments/search", {}, 301),
    ("GET", "/x/../api/2.0/mlflow/experiments/search", {}, 301),
    ("GET", "/oauth2/../api/2.0/mlflow/experiments/search", {}, 301),
    *((method, SEARCH, {}, 401) for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")),
    ("GET", SEARCH, {"User-Agent": GOOGLE_HEALTH_CHECK}, 401),
    ("GET", SEARCH, {"User-Agent": "kube-probe/1.29"}, 401),
    ("GET", SEARCH, {"X-Forwarded-Uri": "/ping"}, 401),
    ("GET", SEARCH, {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"}, 401),
    ("GET", SEARCH, {"X-Forwarded-Email": USER, "X-Forwarded-User": USER}, 401),
    ("GET", SEARCH, {"Cookie": "__Host-mlflow=forged"}, 401),
    ("GET", "/ajax-api/2.0/mlflow/experiments/search", {}, 401),
    ("GET", "/graphql", {}, 401),
    ("POST", "/v1/traces", {}, 401),
    ("GET", "/get-artifact?path=x&run_uuid=y", {}, 401),
    ("GET", "/model-versions/get-artifact?path=x&name=y&version=1", {}, 401),
    ("GET", "/gateway/x", {}, 401),
    ("GET", "/health", {}, 401),
    ("GET", "/version", {}, 401),
    ("GET", "/oauth2/userinfo", {}, 401),
    ("GET", "/oauth2/auth", {}, 401),
    ("GET", "/oauth2/callback?code=x&state=y:/", {}, 403),
]
