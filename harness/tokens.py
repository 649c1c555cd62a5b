"""Tokens that nobody should accept."""

import base64
import hashlib
import hmac
import json
import time

from joserfc import jwt
from joserfc.jwk import RSAKey

from harness.service import SERVICE_URL, USER
from localcloud.machine.identity import ISSUER, IdentityProvider


def encoded(part: object) -> str:
    """Returns one part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def claims() -> dict[str, object]:
    """Returns the claims of a good token."""
    now = int(time.time())
    return {"iss": ISSUER, "aud": SERVICE_URL, "sub": "1", "email": USER, "email_verified": True, "exp": now + 600}


def good(identity: IdentityProvider, *, audience: str = SERVICE_URL, email: str | None = USER, **claims: object) -> str:
    """Returns a token that is right except for the changes."""
    return identity.token(audience=audience, email=email, **claims)


def of_another_key(identity: IdentityProvider) -> str:
    """Signed by somebody else, under the real key's id."""
    return jwt.encode({"alg": "RS256", "kid": identity.key.kid}, claims(), RSAKey.generate_key(2048))


def of_the_public_key_as_hmac_secret(identity: IdentityProvider) -> str:
    """The HS256 confusion: the public key, which everybody has, used as a shared secret."""
    unsigned = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': identity.key.kid})}.{encoded(claims())}"
    digest = hmac.digest(identity.key.as_pem(private=False), unsigned.encode(), hashlib.sha256)
    return f"{unsigned}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def unsigned(_: IdentityProvider) -> str:
    """`alg: none`, with an empty signature."""
    return f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{encoded(claims())}."


def stripped_by_google(identity: IdentityProvider) -> str:
    """Returns the token as an authenticated Cloud Run service passes it on, with its signature replaced."""
    return f"{good(identity).rpartition('.')[0]}.SIGNATURE_REMOVED_BY_GOOGLE"


def with_another_payload(identity: IdentityProvider) -> str:
    """A good token whose payload was exchanged."""
    header, _, signature = good(identity, email="eve@evil.test").split(".")
    return f"{header}.{encoded(claims())}.{signature}"
