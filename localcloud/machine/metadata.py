"""The metadata server of one identity: a Cloud Run service's account, or the person at this machine.

Programs find it through `variables`. It has what Google's client libraries ask Cloud Run's for, and no more:
https://cloud.google.com/run/docs/container-contract#metadata-server. Left out: scopes (tokens open everything that the
roles allow), other accounts than the default one, waiting for changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from localcloud.identity import TOKEN_LIFETIME_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from localcloud.identity import IdentityProvider

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
_ROOT = "/computeMetadata/v1"


def variables(address: str) -> dict[str, str]:
    """The environment in which google-auth asks a metadata server here and looks for no other.

    It asks this one whether it is there (GCE_METADATA_IP) before it asks for anything (GCE_METADATA_HOST). Credentials
    of other kinds come first where a program finds some: GOOGLE_APPLICATION_CREDENTIALS, and gcloud's own.

    Args:
        address: `HOST:PORT`, as the program reaches it.
    """
    return {"GCE_METADATA_HOST": address, "GCE_METADATA_IP": address, "GCE_METADATA_MTLS_MODE": "none"}


def metadata(identity: IdentityProvider, *, email: str, project: str, number: str, region: str) -> web.Application:
    """Makes the application.

    Args:
        identity: Who signs the tokens.
        email: Whose tokens they are.
        project: The project's id.
        number: The project's number.
        region: Where the service runs, such as `europe-west1`.
    """
    account = {"aliases": ["default"], "email": email, "scopes": SCOPES}
    accounts = f"{_ROOT}/instance/service-accounts"
    texts = {
        "/": "computeMetadata/\n",
        f"{_ROOT}/project/project-id": project,
        f"{_ROOT}/project/numeric-project-id": number,
        f"{_ROOT}/instance/region": f"projects/{number}/regions/{region}",
        f"{_ROOT}/universe/universe-domain": "googleapis.com",
        f"{accounts}/default/email": email,
        f"{accounts}/{email}/email": email,
    }

    async def plain_text(request: web.Request) -> web.Response:
        return web.Response(text=texts[request.path])

    async def info(request: web.Request) -> web.Response:
        if request.query.get("recursive", "").lower() == "true":
            return web.json_response(account)
        return web.Response(text="email\nidentity\ntoken\n")

    async def access_token(_: web.Request) -> web.Response:
        answer = {"access_token": identity.access_token(email), "expires_in": TOKEN_LIFETIME_S, "token_type": "Bearer"}
        return web.json_response(answer)

    async def identity_token(request: web.Request) -> web.Response:
        audience = request.query.get("audience")
        if not audience:
            raise web.HTTPBadRequest(text="non-empty audience parameter required")
        return web.Response(text=identity.token(audience=audience, email=email))

    application = web.Application(middlewares=[_only_asked_for])
    application.on_response_prepare.append(_sign)
    application.router.add_routes(web.get(path, plain_text) for path in texts)
    for name in ("default", email):
        application.router.add_get(f"{accounts}/{name}/", info)
        application.router.add_get(f"{accounts}/{name}/token", access_token)
        application.router.add_get(f"{accounts}/{name}/identity", identity_token)
    return application


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
