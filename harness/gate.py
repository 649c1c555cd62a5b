"""A server that lets in whose token is good, as the service's gate does, and notes what it was sent."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from harness.google_endpoints import claims
from localcloud.machine.background import serving
from localcloud.machine.callers import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Generator

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="mlflow"'}


@dataclass
class Gate:
    """The state of the server.

    Attributes:
        headers: The Authorization header of each request; empty where there was none.
        bodies: What came with those that were let in.
        revoked: Tokens that it does not take, though they live.
        forbidden: Nobody is let in.
        redirect: Where it sends everybody.
        slow_s: How long it thinks before it looks at the token, the first `slow_answers` times.
    """

    headers: list[str] = field(default_factory=list[str])
    bodies: list[bytes] = field(default_factory=list[bytes])
    revoked: set[str] = field(default_factory=set[str])
    forbidden: bool = False
    redirect: str = ""
    slow_s: float = 0
    slow_answers: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        """Answers anything."""
        sent = request.headers.get("Authorization", "")
        self.headers.append(sent)
        if self.redirect:
            raise web.HTTPTemporaryRedirect(self.redirect)
        if self.slow_answers:
            self.slow_answers -= 1
            await asyncio.sleep(self.slow_s)
        token = sent.removeprefix("Bearer ")
        if self.forbidden or not token or token in self.revoked or claims(token)["exp"] < time.time():
            return web.json_response(
                {"error_code": "PERMISSION_DENIED", "message": "not you"}, status=403, headers=CHALLENGE
            )
        self.bodies.append(await request.read())
        return web.json_response({"user": claims(token)["email"]})


@contextmanager
def standing() -> Generator[tuple[Gate, str]]:
    """Serves a gate; yields it and its address."""
    gate, application = Gate(), web.Application()
    application.router.add_route("*", "/{path:.*}", gate.answer)
    with serving(application, callers=EVERYBODY) as port:
        yield gate, f"http://127.0.0.1:{port}"
