"""Google's sign-in on this machine: signing keys, identity tokens for any audience, the code flow with PKCE.

The issuer is Google's own, so that what checks the tokens needs no other setting than where the keys are. Left out:
consent, refresh tokens, user info, other flows; the form believes every address that it is given.
"""

import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from urllib.parse import urlencode, urlsplit

from aiohttp import BasicAuth, web
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from joserfc.util import urlsafe_b64encode

ISSUER = "https://accounts.google.com"
TOKEN_LIFETIME_S = 3600  # https://cloud.google.com/docs/authentication/token-types#id-lifetime
CODE_LIFETIME_S = 60
FORM = """<!doctype html><html lang="en"><title>Sign in</title>
<h1>Sign in</h1><p>to continue to {client}</p>
<form method="post"><label>E-mail <input name="email" type="email" required autofocus></label>
<button>Next</button></form></html>"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """What a code stands for until it is redeemed."""

    client_id: str
    redirect_uri: str
    code_challenge: str
    nonce: str
    email: str
    expires_at: float


class IdentityProvider:
    """Signs tokens and lets people in.

    Args:
        clients: The secret of each OAuth client, by client id.
    """

    def __init__(self, *, clients: Mapping[str, str]) -> None:
        self.key = RSAKey.generate_key(2048, parameters={"use": "sig", "alg": "RS256"}, auto_kid=True)
        self._clients = dict(clients)
        self._grants: dict[str, Grant] = {}

    def token(self, *, audience: str, email: str | None, **claims: object) -> str:
        """Returns a signed identity token.

        Args:
            audience: The `aud` claim: a client id, or the URL of a service.
            email: The person or service account; None leaves the claim out.
            claims: More claims, or other values for the usual ones; None leaves one out.
        """
        now = int(time.time())
        subject = str(int(sha256((email or "").encode()).hexdigest()[:16], 16))
        usual: dict[str, object] = {
            "iss": ISSUER,
            "aud": audience,
            "azp": audience,
            "sub": subject,
            "email": email,
            "email_verified": True,
            "iat": now,
            "exp": now + TOKEN_LIFETIME_S,
        }
        chosen = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": self.key.kid}, chosen, self.key)

    def application(self) -> web.Application:
        """Returns the web application: /certs, /auth and /token, as Google's three endpoints."""
        application = web.Application()
        application.router.add_get("/certs", self._certs)
        application.router.add_get("/auth", self._show_form)
        application.router.add_post("/auth", self._sign_in)
        application.router.add_post("/token", self._redeem)
        return application

    async def _certs(self, _: web.Request) -> web.Response:
        return web.json_response(KeySet([self.key]).as_dict(private=False))

    async def _show_form(self, request: web.Request) -> web.Response:
        self._check_request(request.query)
        return web.Response(text=FORM.format(client=escape(request.query["client_id"])), content_type="text/html")

    async def _sign_in(self, request: web.Request) -> web.Response:
        query, form = request.query, await request.post()
        self._check_request(query)
        code = secrets.token_urlsafe()
        self._grants[code] = Grant(
            client_id=query["client_id"],
            redirect_uri=query["redirect_uri"],
            code_challenge=query["code_challenge"],
            nonce=query.get("nonce", ""),
            email=str(form["email"]),
            expires_at=time.time() + CODE_LIFETIME_S,
        )
        back = f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query.get('state', '')})}"
        raise web.HTTPFound(back)

    def _check_request(self, query: Mapping[str, str]) -> None:
        if query.get("client_id") not in self._clients:
            raise web.HTTPBadRequest(text="invalid_client: unknown client_id")
        if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
            raise web.HTTPBadRequest(text="invalid_request: only the code flow with PKCE (S256)")
        if not urlsplit(query.get("redirect_uri", "")).netloc or not query.get("code_challenge"):
            raise web.HTTPBadRequest(text="invalid_request: redirect_uri and code_challenge are required")

    async def _redeem(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        header = request.headers.get("Authorization")
        basic = BasicAuth.decode(header) if header else None
        client_id = str(basic.login) if basic else form.get("client_id", "")  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        secret = str(basic.password) if basic else form.get("client_secret", "")  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        if not secret or not hmac.compare_digest(self._clients.get(client_id, ""), secret):
            return web.json_response({"error": "invalid_client"}, status=401)
        grant = self._grants.pop(form.get("code", ""), None)
        challenge = urlsafe_b64encode(sha256(form.get("code_verifier", "").encode()).digest()).decode()
        if (
            grant is None
            or grant.expires_at < time.time()
            or (grant.client_id, grant.redirect_uri) != (client_id, form.get("redirect_uri"))
            or not hmac.compare_digest(challenge, grant.code_challenge)
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        token = self.token(audience=client_id, email=grant.email, nonce=grant.nonce or None)
        answer = {"access_token": secrets.token_urlsafe(), "id_token": token, "token_type": "Bearer"}
        return web.json_response(answer | {"expires_in": TOKEN_LIFETIME_S})
