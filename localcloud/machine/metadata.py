"""Metadata servers: one for the Cloud Run services, where each caller is its own account, and one for each person.

Programs find it through `variables`. It has what Google's client libraries ask Cloud Run's for, and no more:
https://cloud.google.com/run/docs/container-contract#metadata-server. A token opens what its scopes say, everything if
nobody says any. Left out: other accounts than the default one, waiting for changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from localcloud.machine.identity import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from localcloud.machine.identity import IdentityProvider

    Whose = Callable[[str], Awaitable[str | None]]

SCOPES = [EVERYTHING]
_ROOT = "/computeMetadata/v1"


def variables(address: str) -> dict[str, str]:
    """The environment in which google-auth asks a metadata server here and looks for no other.

    It asks this one whether it is there (GCE_METADATA_IP) before it asks for anything (GCE_METADATA_HOST). Credentials
    of other kinds come first where a program finds some: GOOGLE_APPLICATION_CREDENTIALS, and gcloud's own.

    Args:
        address: `HOST:PORT`, as the program reaches it.
    """
    return {"GCE_METADATA_HOST": address, "GCE_METADATA_IP": address, "GCE_METADATA_MTLS_MODE": "none"}


class Metadata:
    """One metadata server.

    Args:
        identity: Who signs the tokens.
        whose: Finds out who calls, by the address that the call comes from; None for somebody unknown.
        project: The project's id.
        number: The project's number.
        region: Where the services run, such as `europe-west1`.
    """

    def __init__(self, identity: IdentityProvider, *, whose: Whose, project: str, number: str, region: str) -> None:
        self._identity = identity
        self._whose = whose
        self._texts = {
            "/": "computeMetadata/\n",
            f"{_ROOT}/project/project-id": project,
            f"{_ROOT}/project/numeric-project-id": number,
            f"{_ROOT}/instance/region": f"projects/{number}/regions/{region}",
            f"{_ROOT}/universe/universe-domain": "googleapis.com",
        }

    def application(self) -> web.Application:
        """Returns the web application."""
        application = web.Application(middlewares=[_only_asked_for])
        application.on_response_prepare.append(_sign)
        application.router.add_routes(web.get(path, self._text) for path in self._texts)
        answers = {"": self._info, "email": self._email, "token": self._access_token, "identity": self._identity_token}
        for name, answer in answers.items():
            application.router.add_get(f"{_ROOT}/instance/service-accounts/{{account}}/{name}", answer)
        return application

    async def _text(self, request: web.Request) -> web.Response:
        return web.Response(text=self._texts[request.path])

    async def _caller(self, request: web.Request) -> str:
        email = await self._whose(request.remote or "")
        if email is None:
            raise web.HTTPForbidden(text=f"no service of this local cloud calls from {request.remote}")
        if request.match_info["account"] not in {"default", email}:
            raise web.HTTPNotFound
        return email

    async def _email(self, request: web.Request) -> web.Response:
        return web.Response(text=await self._caller(request))

    async def _info(self, request: web.Request) -> web.Response:
        email = await self._caller(request)
        if request.query.get("recursive", "").lower() == "true":
            return web.json_response({"aliases": ["default"], "email": email, "scopes": SCOPES})
        return web.Response(text="email\nidentity\ntoken\n")

    async def _access_token(self, request: web.Request) -> web.Response:
        asked = [scope for scope in request.query.get("scopes", "").split(",") if scope]
        token = self._identity.access_token(await self._caller(request), *asked)
        answer = {"access_token": token, "expires_in": self._identity.lifetime_s, "token_type": "Bearer"}
        return web.json_response(answer)

    async def _identity_token(self, request: web.Request) -> web.Response:
        email, audience = await self._caller(request), request.query.get("audience")
        if not audience:
            raise web.HTTPBadRequest(text="non-empty audience parameter required")
        return web.Response(text=self._identity.token(audience=audience, email=email))


def only(email: str) -> Whose:
    """Whoever calls is one and the same."""

    async def whose(_: str) -> str:
        return email

    return whose


@web.middleware
async def _only_asked_for(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Wants the header that a web page cannot send to another host."""
    if request.path.startswith("/computeMetadata") and request.headers.get("Metadata-Flavor") != "Google":
        raise web.HTTPForbidden(text="Missing required header Metadata-Flavor: Google")
    return await handler(request)


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Metadata-Flavor"] = "Google"
