"""Google's sign-in on this machine: signing keys, identity and access tokens, the code flow with PKCE.

The issuer is Google's own, so that what checks the tokens needs no other setting than where the keys are. Left out:
passwords, consent, scopes of people, refresh tokens, user info, other flows; the form believes every address.
"""

import hmac
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from aiohttp import BasicAuth, hdrs, web
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey
from joserfc.util import urlsafe_b64encode
from yarl import URL

from containers.loopback import LOOPBACK
from localcloud.machine.account_keys import AccountKeys
from localcloud.machine.callers import OWN_NAMES, name_of

ISSUER = "https://accounts.google.com"
TOKEN_LIFETIME_S = 3600  # https://cloud.google.com/docs/authentication/token-types#id-lifetime
CODE_LIFETIME_S = 60
SIGN_IN_PATH = "/auth"
# Of `gcloud auth print-identity-token`, which knows no other for a person's account.
GCLOUD_AUDIENCE = "32555940559.apps.googleusercontent.com"
ACCESS_TOKEN_PREFIX = "ya29."  # noqa: S105 - Google's too; with it no token of one kind can be read as the other
EVERYTHING = "https://www.googleapis.com/auth/cloud-platform"
"""The scope of an access token that opens all that the roles of its owner allow."""
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - https://www.rfc-editor.org/rfc/rfc9068#section-2.1
CONSUMERS = {"gmail.com", "googlemail.com"}
FORM = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><style>
body {{ background: #eef1f5; color: #1f2328; display: grid; font: 16px/1.5 system-ui, sans-serif; margin: 0;
  min-height: 100vh; place-items: center }}
main {{ background: #fff; border-radius: 12px; box-shadow: 0 1px 4px #0003; box-sizing: border-box; margin: 16px;
  max-width: 420px; padding: 40px; width: 100% }}
h1 {{ font-size: 24px; font-weight: 500; margin: 0 }}
p {{ margin: 4px 0 28px; overflow-wrap: anywhere }}
label {{ display: block; font-size: 14px }}
input {{ border: 1px solid #8c959f; border-radius: 6px; box-sizing: border-box; font: inherit; margin: 4px 0 20px;
  padding: 10px 12px; width: 100% }}
button {{ background: #0b57d0; border: 0; border-radius: 20px; color: #fff; cursor: pointer; font: inherit;
  padding: 8px 24px }}
small {{ border-top: 1px solid #d0d7de; color: #57606a; display: block; margin-top: 32px; padding-top: 16px }}
</style></head><body><main>
<h1>Sign in</h1><p>to continue to {client}</p>
<form method="post"><label>E-mail <input name="email" type="email" autocomplete="email" required autofocus></label>
<p><label style="display:inline"><input name="private" type="checkbox" style="width:auto"> a private account, of no
organization</label></p><button>Next</button></form>
<small>The local cloud's stand-in for Google's sign-in: it believes any address.</small>
</main></body></html>"""


@dataclass(frozen=True, kw_only=True, slots=True)
class OAuthClient:
    """A program that lets people sign in.

    Attributes:
        secret: By which it is known.
        redirect_uris: The only addresses to which it may send people back with a code.
    """

    secret: str
    redirect_uris: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """The grant behind a code until it is redeemed."""

    client_id: str
    redirect_uri: str
    code_challenge: str
    nonce: str
    email: str
    private: bool
    expires_at: float


class IdentityProvider:
    """Signs tokens and lets people in.

    Args:
        clients: Gives an OAuth client by its id, None if there is no such client.
        key: What to sign with (`kept_key`); None makes a key that ends with this object.
        lifetime_s: Of access tokens.
        account_keys: What service accounts sign with; None makes keys that end with this object.
    """

    def __init__(
        self,
        *,
        clients: Callable[[str], OAuthClient | None],
        key: RSAKey | None = None,
        lifetime_s: int = TOKEN_LIFETIME_S,
        account_keys: AccountKeys | None = None,
    ) -> None:
        self.key = key or new_key()
        self.lifetime_s = lifetime_s
        self.account_keys = account_keys or AccountKeys()
        self._clients = clients
        self._grants: dict[str, Grant] = {}

    @classmethod
    def kept(cls, home: Path, clients: Callable[[str], OAuthClient | None]) -> "IdentityProvider":
        """Returns one whose keys are in a folder, so that what they have signed outlives this process."""
        keys = AccountKeys(home / "account-keys")
        return cls(clients=clients, key=kept_key(home / "identity.pem"), account_keys=keys)

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
            "hd": organization(email or ""),
            "iat": now,
            "exp": now + TOKEN_LIFETIME_S,
        }
        chosen = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": self.key.kid}, chosen, self.key)

    def access_token(self, email: str, *scopes: str) -> str:
        """Returns a token that opens Google's interfaces for a person or service account.

        Args:
            email: Whose it is.
            scopes: What it opens; none for everything: https://developers.google.com/identity/protocols/oauth2/scopes
        """
        claims = {"email": email, "exp": int(time.time()) + self.lifetime_s, "scope": " ".join(scopes or (EVERYTHING,))}
        header = {"alg": "RS256", "typ": ACCESS_TOKEN_TYPE, "kid": self.key.kid}
        return ACCESS_TOKEN_PREFIX + jwt.encode(header, claims, self.key)

    def authenticate(self, access_token: str, scope: str = EVERYTHING) -> str | None:
        """Returns whose access token it is; None if it is none of this provider's, has expired, or opens other things.

        Args:
            access_token: What was sent.
            scope: The beginning of a scope that is enough.
        """
        if not access_token.startswith(ACCESS_TOKEN_PREFIX):
            return None
        try:
            token = jwt.decode(access_token.removeprefix(ACCESS_TOKEN_PREFIX), self.key, algorithms=["RS256"])
            jwt.JWTClaimsRegistry(exp={"essential": True}, email={"essential": True}).validate(token.claims)
        except (JoseError, ValueError):
            return None
        opens = any(one == EVERYTHING or one.startswith(scope) for one in str(token.claims.get("scope", "")).split())
        return str(token.claims["email"]) if opens and token.header.get("typ") == ACCESS_TOKEN_TYPE else None

    def application(self) -> web.Application:
        """Returns the web application.

        /certs, /auth and /token are as Google's three endpoints. GET /identity?email=…&audience=… stands for `gcloud
        auth print-identity-token` on this machine and answers with the token as text.
        """
        application = web.Application()
        application.on_response_prepare.append(_for_this_page_alone)
        application.router.add_get("/certs", self._certs)
        application.router.add_get(SIGN_IN_PATH, self._show_form)
        application.router.add_post(SIGN_IN_PATH, self._sign_in)
        application.router.add_post("/token", self._redeem)
        application.router.add_get("/identity", self._print_identity_token)
        return application

    async def _certs(self, _: web.Request) -> web.Response:
        return web.json_response(KeySet([self.key]).as_dict(private=False))

    async def _print_identity_token(self, request: web.Request) -> web.Response:
        # A container calls from an address of its own.
        if request.remote != LOOPBACK or name_of(request.host) not in OWN_NAMES:
            raise web.HTTPForbidden(text="only programs of this machine itself get identity tokens here")
        email = request.query.get("email")
        if not email:
            raise web.HTTPBadRequest(text="say whose token: /identity?email=ADDRESS&audience=AUDIENCE")
        return web.Response(text=self.token(audience=request.query.get("audience", GCLOUD_AUDIENCE), email=email))

    async def _show_form(self, request: web.Request) -> web.Response:
        self._check_request(request.query)
        return web.Response(text=FORM.format(client=escape(request.query["client_id"])), content_type="text/html")

    async def _sign_in(self, request: web.Request) -> web.Response:
        query, form = request.query, await request.post()
        self._check_request(query)
        email = str(form.get("email") or "")
        if not email:
            raise web.HTTPBadRequest(text="invalid_request: email is required")
        code = secrets.token_urlsafe()
        self._grants[code] = Grant(
            client_id=query["client_id"],
            redirect_uri=query["redirect_uri"],
            code_challenge=query["code_challenge"],
            nonce=query.get("nonce", ""),
            email=email,
            private="private" in form,
            expires_at=time.time() + CODE_LIFETIME_S,
        )
        raise web.HTTPFound(URL(query["redirect_uri"]).update_query(code=code, state=query.get("state", "")))

    def _check_request(self, query: Mapping[str, str]) -> None:
        client = self._clients(query.get("client_id", ""))
        if not client:
            raise web.HTTPBadRequest(text="invalid_client: unknown client_id")
        if query.get("redirect_uri") not in client.redirect_uris:
            # https://developers.google.com/identity/protocols/oauth2/web-server#authorization-errors-redirect-uri-mismatch
            command = f"python -m localcloud oauth-client {query['client_id']} --redirect-uri URI"
            raise web.HTTPBadRequest(text=f"redirect_uri_mismatch: the client does not know it; {command} adds one")
        if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
            raise web.HTTPBadRequest(text="invalid_request: only the code flow with PKCE (S256)")
        if not query.get("code_challenge"):
            raise web.HTTPBadRequest(text="invalid_request: code_challenge is required")

    async def _redeem(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        header = request.headers.get("Authorization")
        basic = BasicAuth.decode(header) if header else None
        client_id = str(basic.login) if basic else form.get("client_id", "")  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        secret = str(basic.password) if basic else form.get("client_secret", "")  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        client = self._clients(client_id)
        if not client or not hmac.compare_digest(client.secret, secret):
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
        belongs_to = None if grant.private else organization(grant.email)
        token = self.token(audience=client_id, email=grant.email, nonce=grant.nonce or None, hd=belongs_to)
        answer = {"access_token": secrets.token_urlsafe(), "id_token": token, "token_type": "Bearer"}
        return web.json_response(answer | {"expires_in": TOKEN_LIFETIME_S})


async def _for_this_page_alone(_: web.Request, response: web.StreamResponse) -> None:
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    response.headers["Content-Security-Policy"] = "frame-ancestors 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"


def organization(email: str) -> str | None:
    """Returns Google's `hd`: the domain of a Workspace account; service accounts and Gmail's have none.

    A private account can have any other address: whoever plays one leaves the claim out.
    """
    domain = email.lower().rpartition("@")[2]
    return None if not domain or domain.endswith("gserviceaccount.com") or domain in CONSUMERS else domain


def new_key() -> RSAKey:
    """Returns a new signing key."""
    return RSAKey.generate_key(2048, parameters={"use": "sig", "alg": "RS256"}, auto_kid=True)


def kept_key(path: Path) -> RSAKey:
    """Returns the signing key of a file, so that tokens outlive this process."""
    return RSAKey.import_key(key_in(path, new_key))


def key_in(path: Path, new: Callable[[], RSAKey | ECKey]) -> dict[str, Any]:
    """Returns what a file says of a signing key; makes the file (mode 0600) with a new one at first."""
    if not path.exists():
        draft = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(new().as_dict(private=True), file)
        draft.replace(path)
    return json.loads(path.read_text())
