"""Hands each request to the one of MLflow's two applications that serves it, without the other in between.

`mlflow server` puts FastAPI in front of Flask, which serves nearly every route. For each call these were two more
routers, a dozen layers and as many changes of task and thread: half of its CPU time. Flask alone is what MLflow serves
by gunicorn and waitress; it checks hosts, origins and permissions by itself. FastAPI, and what only its routes need, is
imported when the first of them is asked.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mlflow_cloudrun.logs import App, Message, Receive, Send
from mlflow_cloudrun.wsgi import Bridge

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

# What is on (routes.toml) and FastAPI serves, with all that is below; a test compares it with MLflow's own routers.
FASTAPI = (
    "/v1/traces",
    *(f"/{kind}/3.0/mlflow/{name}" for kind in ("api", "ajax-api") for name in ("mcp-servers", "server-info")),
)
BELOW_FASTAPI = tuple(f"{path}/" for path in FASTAPI)
HEALTH = "/health"
FAILURES = "mlflow_cloudrun.failures"


def of_fastapi(path: str) -> bool:
    """Returns whether FastAPI serves a path, and not Flask."""
    return path in FASTAPI or path.startswith(BELOW_FASTAPI)


class NotedFailures:
    """ASGI middleware within FastAPI: notes what an application raises, which Starlette would answer for with a page.

    https://github.com/encode/starlette/blob/main/starlette/middleware/errors.py
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        try:
            await self.app(scope, receive, send)
        except Exception as error:  # noqa: BLE001  it is raised again, outside of Starlette
            scope[FAILURES].append(error)


class Dispatch:
    """ASGI application: MLflow's two.

    Args:
        flask: The one that serves nearly everything.
        fastapi: Imports the other one; it is called once, in a thread.
    """

    def __init__(self, flask: "WSGIApplication", fastapi: Callable[[], Any]) -> None:
        self.flask = Bridge(flask)
        self.import_fastapi = fastapi
        self.fastapi: asyncio.Future[App] | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one request.

        Raises:
            Exception: What the application raises.
        """
        if scope["type"] == "lifespan":
            await live(receive, send)
        elif scope["path"] == HEALTH:  # on the event loop alone, as MLflow does
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"2")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"OK"})
        elif of_fastapi(scope["path"]):
            if self.fastapi is None:
                self.fastapi = asyncio.ensure_future(asyncio.to_thread(self.noting))
            failures: list[Exception] = []
            await (await asyncio.shield(self.fastapi))({**scope, FAILURES: failures}, receive, send)
            for error in failures:
                raise error
        else:
            await self.flask(scope, receive, send)

    def noting(self) -> App:
        """Returns FastAPI's application."""
        app = self.import_fastapi()
        app.add_middleware(NotedFailures)
        return app


async def live(receive: Receive, send: Send) -> None:
    """Tells the server that nothing is to be done at its start and its end: MLflow's assistant, which is off, would."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
