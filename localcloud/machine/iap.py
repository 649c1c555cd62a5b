"""Identity-Aware Proxy in front of Cloud Run: sign-in, tokens of programs, IAM, and the assertion for the container.

The keys are its own, and ES256 as Google's; whoever checks an assertion here needs to know where they are. Left out:
OAuth clients of one's own and their identity tokens, groups, access levels, re-authentication, the refresh of a session
in the background; the form believes every address, as the sign-in's does.
https://cloud.google.com/iap/docs/concepts-overview
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from html import escape
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs, web
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from localcloud.machine.identity import key_in
from localcloud.services import iam, iap, run
from localcloud.terraform.model import Object, strings, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from localcloud.machine.account_keys import AccountKeys
    from localcloud.resource import Cloud

ISSUER = "https://cloud.google.com/iap"
ASSERTION_HEADER = "X-Goog-IAP-JWT-Assertion"
ASSERTION_S, SESSION_S, LONGEST_TOKEN_S = 600, 3600, 3600
COOKIE = "GCP_IAP_LOCAL_SESSION"
SIGN_IN_PATH = "/_gcp_iap/sign_in"
KEYS_PATH = "/iap/public_key"
MODE = "gcp-iap-mode"
_FORM = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in</title>
<body style="font: 16px/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 24em">
<h1 style="font-size: 24px">Sign in</h1><p>to continue to {service}</p>
<form method="post" action="{path}"><input type="hidden" name="next" value="{next}">
<label>E-mail <input name="email" type="email" autocomplete="email" required autofocus></label>
<button>Next</button></form><p><small>The local cloud's Identity-Aware Proxy: it believes any address.</small></p>"""
_DENIED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>You don't have access</title>
<h1>You don't have access</h1><p>{email} needs the role IAP-secured Web App User on this service.
<a href="/?gcp-iap-mode=CLEAR_LOGIN_COOKIE">Use another account</a>.</p>"""


class IdentityAwareProxy:
    """Lets people and programs through to services that are behind it.

    Args:
        cloud: Where services and bindings are.
        account_keys: What service accounts sign with.
        key: What to sign with (`kept_key`); None makes a key that ends with this object.
    """

    def __init__(self, cloud: Cloud, account_keys: AccountKeys, key: ECKey | None = None) -> None:
        self.key = key or new_key()
        self._cloud = cloud
        self._account_keys = account_keys

    def public_keys(self) -> dict[str, str]:
        """The keys in PEM, by their ids, as https://www.gstatic.com/iap/verify/public_key has them."""
        return {str(self.key.kid): self.key.as_pem(private=False).decode()}

    async def answer_keys(self, _: web.Request) -> web.Response:
        """Answers with the keys."""
        return web.json_response(self.public_keys())

    def assertion(self, audience: str, email: str, /, **claims: object) -> str:
        """Returns what the container gets; claims replace the usual ones, and None leaves one out."""
        now, subject = int(time.time()), hashlib.sha256(email.encode()).hexdigest()[:20]
        usual: dict[str, object] = {
            "iss": ISSUER,
            "aud": audience,
            "sub": f"accounts.google.com:{subject}",
            "email": email,
            "iat": now,
            "exp": now + ASSERTION_S,
        }
        return self._signed({name: value for name, value in (usual | claims).items() if value is not None})

    async def headers(self, request: web.Request, service: Object) -> dict[str, str]:
        """Returns the headers that a request goes on with.

        Raises:
            web.HTTPException: It does not; the way to sign in, or why not.
        """
        if request.query.get(MODE) == "CLEAR_LOGIN_COOKIE":
            away = web.HTTPFound("/")
            away.del_cookie(COOKIE, path="/")
            raise away
        if request.path == SIGN_IN_PATH and request.method == hdrs.METH_POST:
            raise await self._signed_in(request, service)
        email = self._program(request, service) or self._person(request, service)
        if not email:
            raise _sign_in(request, service)
        if not iam.allows(self._cloud, iam.member_of(email), iap.PASS, iap.target(service)):
            raise web.HTTPForbidden(text=_DENIED.format(email=escape(email)), content_type="text/html")
        assertion = self.assertion(iap.audience(self._cloud, service), email)
        subject = _payload(assertion)["sub"]
        return {
            ASSERTION_HEADER: assertion,
            "X-Goog-Authenticated-User-Email": f"accounts.google.com:{email}",
            "X-Goog-Authenticated-User-ID": str(subject),
        }

    def may_call(self, service: Object) -> bool:
        """Whether IAP itself may call a service: it does so as its agent."""
        agent = iap.agent(self._cloud, text(service, "project"))
        disabled = service.get("invoker_iam_disabled") is True
        return disabled or iam.allows(self._cloud, agent, "run.routes.invoke", run.target(service))

    def _program(self, request: web.Request, service: Object) -> str:
        """The account whose key has signed the token of a request; empty if there is none."""
        for header in (hdrs.PROXY_AUTHORIZATION, hdrs.AUTHORIZATION):
            scheme, _, token = request.headers.get(header, "").partition(" ")
            if scheme.lower() == "bearer":
                here = f"{request.scheme}://{request.host}"
                allowed = iap.urls_of_programs([here, *strings(service, "urls")], request.path)
                email = self._account(token, allowed)
                if not email:
                    raise web.HTTPUnauthorized(text="Invalid IAP credentials: JWT signature or audience is not good")
                return email
        return ""

    def _account(self, token: str, audiences: set[str]) -> str:
        try:
            content, _, signature = token.rpartition(".")
            claims, header = _payload(token), json.loads(_decoded(token.partition(".")[0]))
            email, issued, ends = str(claims["iss"]), float(claims["iat"]), float(claims["exp"])
            known = header["alg"] == "RS256" and claims["sub"] == email and claims["aud"] in audiences
            timely = issued - 30 <= time.time() < ends <= issued + LONGEST_TOKEN_S
            good = known and timely and email.endswith(".gserviceaccount.com")
            return email if good and self._account_keys.has_signed(email, content.encode(), _decoded(signature)) else ""
        except (AttributeError, LookupError, TypeError, ValueError):
            return ""

    def _person(self, request: web.Request, service: Object) -> str:
        try:
            session = jwt.decode(request.cookies.get(COOKIE, ""), self.key, algorithms=["ES256"])
            expected: Any = {"aud": {"essential": True, "value": _session_of(service)}, "exp": {"essential": True}}
            jwt.JWTClaimsRegistry(**expected).validate(session.claims)
        except (JoseError, ValueError):
            return ""
        return str(session.claims["email"])

    async def _signed_in(self, request: web.Request, service: Object) -> web.HTTPException:
        form = await request.post()
        email, following = str(form.get("email") or "").lower(), str(form.get("next") or "")
        if not email or not following.startswith("/") or following.startswith(("//", "/\\")):
            return web.HTTPBadRequest(text="say who, and which path comes next")
        on = web.HTTPFound(following)
        claims = {"aud": _session_of(service), "email": email, "exp": int(time.time()) + SESSION_S}
        on.set_cookie(COOKIE, self._signed(claims), httponly=True, path="/", samesite="Lax")
        return on

    def _signed(self, claims: Mapping[str, object]) -> str:
        return jwt.encode({"alg": "ES256", "typ": "JWT", "kid": self.key.kid}, dict(claims), self.key)


def _sign_in(request: web.Request, service: Object) -> web.HTTPException:
    """The form for a browser that goes to a page; a program, or a page's own call, is told what is missing."""
    navigates = request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
    if request.method not in {hdrs.METH_GET, hdrs.METH_HEAD} or not navigates:
        return web.HTTPUnauthorized(text="Invalid IAP credentials: empty token")
    form = _FORM.format(service=escape(text(service, "name")), path=SIGN_IN_PATH, next=escape(request.raw_path))
    # Google redirects to its own sign-in; here the form is the answer.
    return web.HTTPUnauthorized(text=form, content_type="text/html", headers={"Cache-Control": "no-store"})


def _session_of(service: Object) -> str:
    return f"session of {text(service, 'id')}"


def _payload(token: str) -> dict[str, Any]:
    return json.loads(_decoded(token.split(".")[1]))


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def new_key() -> ECKey:
    """Returns a new signing key."""
    return ECKey.generate_key("P-256", parameters={"use": "sig", "alg": "ES256"}, auto_kid=True)


def kept_key(path: Path) -> ECKey:
    """Returns the signing key of a file, so that sessions outlive this process."""
    return ECKey.import_key(key_in(path, new_key))
