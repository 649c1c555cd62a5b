"""Google's token endpoints on this machine, under their own names: programs meet them through an https proxy.

Google's libraries know the addresses by heart. HTTPS_PROXY sends them here, where a certificate that REQUESTS_CA_BUNDLE
names makes oauth2, sts and iamcredentials answer. What each answers is what its page says:
https://developers.google.com/identity/protocols/oauth2/service-account#httprest
https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token
https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from localcloud.machine.background import serving
from localcloud.machine.callers import EVERYBODY
from localcloud.machine.identity import IdentityProvider
from localcloud.machine.metadata import Metadata, only, variables
from localcloud.machine.tls import server_context
from localcloud.services import iamcredentials

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

IAM, OAUTH2, STS = "iamcredentials.googleapis.com", "oauth2.googleapis.com", "sts.googleapis.com"
# google-auth looks up a federated identity's project, and goes on without it.
HOSTS = frozenset({IAM, OAUTH2, STS, "cloudresourcemanager.googleapis.com"})
ROBOT = "trainer@demo-project.iam.gserviceaccount.com"
PERSON = "ada@example.com"
ADC_AUDIENCE = "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com"
GOOD = "good"
FEDERATED = "federated-token"
SUBJECT = "subject-token"
POOL = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/gh/providers/gh"


@dataclass
class Google:
    """The state of the endpoints, and the requests that they got.

    Attributes:
        identity: Signs the tokens.
        lifetime_s: How long a token lives.
        away: While it is set, every endpoint answers 503.
        may_impersonate: Who may make tokens of ROBOT.
        clock_is_wrong: Google takes nothing that a key file signed.
        signed: How many tokens it has given.
    """

    identity: IdentityProvider
    lifetime_s: float = 3600
    away: threading.Event = field(default_factory=threading.Event)
    may_impersonate: set[str] = field(default_factory=lambda: {FEDERATED, PERSON, ROBOT})
    clock_is_wrong: bool = False
    signed: int = 0

    def token(self, audience: str, email: str) -> str:
        """Returns an identity token of this Google."""
        self.signed += 1
        return self.identity.token(audience=audience, email=email, exp=int(time.time() + self.lifetime_s))

    def application(self) -> web.Application:
        """Returns the endpoints, whatever name they are asked by."""
        application = web.Application(middlewares=[self.unless_away])
        application.router.add_post("/token", self._oauth2)
        application.router.add_post("/v1/token", self._sts)
        application.router.add_get("/v1/projects/{number}", self._no_project)
        application.router.add_post("/v1/projects/-/serviceAccounts/{call}", self._iamcredentials)
        return application

    @web.middleware
    async def unless_away(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Answers as the endpoint would, or that nobody is there."""
        if self.away.is_set():
            return web.Response(text="<html>no healthy upstream</html>", content_type="text/html", status=503)
        return await handler(request)

    async def _oauth2(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] != GOOD:
                return web.json_response({"error": "invalid_grant", "error_subtype": "invalid_rapt"}, status=400)
            answer: dict[str, object] = {"access_token": PERSON, "expires_in": 3600}
            # Who asks for less than was consented gets less: https://www.rfc-editor.org/rfc/rfc6749#section-6
            if "openid" in str(form.get("scope", "openid")):
                answer["id_token"] = self.token(str(form["client_id"]), PERSON)
            return web.json_response(answer)
        asserted = claims(str(form["assertion"]))
        if self.clock_is_wrong:
            said = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
            return web.json_response({"error": "invalid_grant", "error_description": said}, status=400)
        if "target_audience" not in asserted:
            return web.json_response({"access_token": asserted["iss"], "expires_in": 3600, "token_type": "Bearer"})
        return web.json_response({"id_token": self.token(asserted["target_audience"], asserted["iss"])})

    async def _no_project(self, _: web.Request) -> web.Response:
        return web.json_response({"error": {"code": 403, "status": "PERMISSION_DENIED"}}, status=403)

    async def _sts(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["audience"] == POOL
        if form["subject_token"] != SUBJECT:
            said = "The subject token has expired."
            return web.json_response({"error": "invalid_grant", "error_description": said}, status=400)
        kinds = {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer"}
        return web.json_response({"access_token": FEDERATED, "expires_in": 3600, **kinds})

    async def _iamcredentials(self, request: web.Request) -> web.Response:
        account, _, method = request.match_info["call"].partition(":")
        caller = request.headers["Authorization"].removeprefix("Bearer ")
        if not {caller, self.identity.authenticate(caller, iamcredentials.SCOPE)} & self.may_impersonate:
            message = f"Permission 'iam.serviceAccounts.getOpenIdToken' denied on resource {account}"
            return web.json_response(
                {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": message}}, status=403
            )
        if method == "generateAccessToken":
            return web.json_response({"accessToken": account, "expireTime": "2099-01-01T00:00:00Z"})
        body = await request.json()
        return web.json_response({"token": self.token(body["audience"], account if body["includeEmail"] else "")})


class ShortLived(IdentityProvider):
    """Signs for a metadata server, as a Google says."""

    def __init__(self, google: Google) -> None:
        super().__init__(clients=lambda _: None, key=google.identity.key)
        self._google = google

    def token(self, *, audience: str, email: str | None, **_: object) -> str:
        """Returns a signed identity token."""
        return self._google.token(audience, email or "")


def claims(token: str) -> dict[str, Any]:
    """Returns what a token says, unverified."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@contextmanager
def reached(google: Google, folder: Path) -> Generator[dict[str, str]]:
    """Serves the endpoints; yields the variables with which a program meets them under Google's names."""
    tls = server_context(folder, "*.googleapis.com")
    with serving(google.application(), callers=EVERYBODY) as plain, loop_in_thread() as loop:

        async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await join(reader, writer, await asyncio.open_connection("127.0.0.1", plain))

        async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode().partition(":")[0]
            if target not in HOSTS:
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
                writer.close()
                return
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await join(reader, writer, await asyncio.open_connection("127.0.0.1", port_of(secure)))

        async def start(handler: Any, **options: Any) -> asyncio.Server:
            return await asyncio.start_server(handler, "127.0.0.1", 0, **options)

        secure = asyncio.run_coroutine_threadsafe(start(end, ssl=tls), loop).result(10)
        proxy = asyncio.run_coroutine_threadsafe(start(tunnel), loop).result(10)
        yield {
            "HTTPS_PROXY": f"http://127.0.0.1:{port_of(proxy)}",
            "NO_PROXY": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(folder / "certificate.pem"),
        }


async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, other: Any) -> None:
    """Carries bytes both ways until both sides have ended."""

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()

    await asyncio.gather(carry(reader, other[1]), carry(other[0], writer))


def port_of(server: asyncio.Server) -> int:
    """Returns the port that a server listens on."""
    return int(server.sockets[0].getsockname()[1])


@contextmanager
def loop_in_thread() -> Generator[asyncio.AbstractEventLoop]:
    """Runs an event loop until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(cancel_others(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def cancel_others() -> None:
    """Ends every other task of this loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def metadata(google: Google, email: str = ROBOT) -> Generator[dict[str, str]]:
    """Serves a metadata server whose machine runs as an account; yields the variables that lead to it."""
    signer = ShortLived(google)
    server = Metadata(signer, whose=only(email), project="demo-project", number="1", region="europe-west1")
    application = server.application()
    application.middlewares.append(google.unless_away)
    with serving(application, callers=EVERYBODY) as port:
        yield variables(f"127.0.0.1:{port}")


@contextmanager
def metadata_without_account() -> Generator[dict[str, str]]:
    """Serves the metadata server of a machine that no service account is attached to."""

    async def answer(request: web.Request) -> web.Response:
        found = request.path in {"/", "/computeMetadata/v1/project/project-id"}
        return web.Response(text="demo-project", status=200 if found else 404, headers={"Metadata-Flavor": "Google"})

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    with serving(application, callers=EVERYBODY) as port:
        yield variables(f"127.0.0.1:{port}")
