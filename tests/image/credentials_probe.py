"""Prints the headers that a route of MLflow's FastAPI and one of its Flask see, as JSON; run inside the image."""

import asyncio
import json
import sys
from pathlib import Path

import uvicorn  # noqa: F401
from flask import request
from mlflow.server import app as flask_app
from mlflow_cloudrun import application
from mlflow_cloudrun.proxy_options import ACCESS_FILE

CREDENTIALS = ("Authorization", "Cookie", "Proxy-Authorization", "X-Goog-Iap-Jwt-Assertion", "X-Mlflow-Authorization")
MORE = ("X-Serverless-Authorization", "X-Goog-Authenticated-User-Email", "X-Forwarded-Access-Token")
app = application.fastapi_app()
seen: dict[str, dict[str, str]] = {}


@flask_app.before_request
def note() -> None:
    """Keeps what Flask sees."""
    seen["flask"] = {name.lower(): value for name, value in request.headers.items()}


@app.middleware("http")
async def note_too(request, call_next):  # noqa: ANN001, ANN201
    """Keeps what FastAPI sees."""
    seen.setdefault("fastapi", dict(request.headers))
    return await call_next(request)


async def ask(path: str) -> None:
    """Sends a request with every credential."""
    headers = [(name.lower().encode(), b"secret") for name in (*CREDENTIALS, *MORE)]
    headers += [(b"host", b"localhost"), (b"x-forwarded-email", b"ada@example.com")]
    headers += [(b"x-forwarded-groups", b"example.com")]
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": headers, "http_version": "1.1", "scheme": "http", "server": ("localhost", 80), "client": None}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: object) -> None:
        pass

    await served(scope, receive, send)


FOLDER = Path("/tmp")  # noqa: S108  the container's own
(FOLDER / ACCESS_FILE).write_text(json.dumps({"domains": ["example.com"], "emails": []}))
served = application.protected(FOLDER, lambda: app)
asyncio.run(ask("/api/3.0/mlflow/server-info"))
asyncio.run(ask("/version"))
json.dump(seen, sys.stdout)
