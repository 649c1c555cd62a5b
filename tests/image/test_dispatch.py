"""Each request goes to one of MLflow's two applications, and nothing of it is lost between ASGI and WSGI."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun.dispatch import Dispatch
from mlflow_cloudrun.logs import App, Message
from mlflow_cloudrun.wsgi import CHUNK_BYTES, environ_of

PERSON: ContextVar[str] = ContextVar("person")
SCOPE: Message = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "scheme": "https",
    "path": "/api/2.0/mlflow/runs/ü",
    "query_string": b"a=%C3%BC&b",
    "server": ("127.0.0.1", 8080),
    "client": ("10.0.0.1", 4711),
    "headers": [
        (b"host", b"mlflow"),
        (b"content-type", b"application/json"),
        (b"content-length", b"4"),
        (b"x-one-of-two", b"1"),
        (b"x-one-of-two", b"\xfc"),
    ],
}


def ask(app: App, scope: Message = SCOPE, body: tuple[bytes, ...] = (b"{", b"}  ")) -> list[Message]:
    """Returns what an application sends."""
    parts = [*({"type": "http.request", "body": part, "more_body": True} for part in body[:-1])]
    messages = iter([*parts, {"type": "http.request", "body": body[-1], "more_body": False}])
    sent: list[Message] = []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    async def call() -> None:
        PERSON.set("ada@example.com")
        await app(scope, receive, send)

    asyncio.run(call())
    return sent


def no_fastapi() -> Any:
    raise AssertionError("FastAPI serves nothing here")


class Closing:
    """An answer in parts, which notes that it was closed."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self.parts = parts
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self.parts

    def close(self) -> None:
        self.closed += 1


def answering(parts: Closing) -> WSGIApplication:
    def application(_: dict[str, Any], start: Callable[..., object]) -> Closing:
        start("200 OK", [("X-Name", "ü")])
        return parts

    return application


def test_a_request_is_the_same_to_wsgi() -> None:
    environ = environ_of(SCOPE, b"{}  ")
    assert {name: value for name, value in environ.items() if name.isupper()} == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/api/2.0/mlflow/runs/\xc3\xbc",
        "QUERY_STRING": "a=%C3%BC&b",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "10.0.0.1",
        "HTTP_HOST": "mlflow",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "4",
        "HTTP_X_ONE_OF_TWO": "1,\xfc",
    }
    assert environ["wsgi.url_scheme"] == "https"


def test_flask_reads_the_whole_body_on_behalf_of_who_asks() -> None:
    def application(environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        start("201 Created", [("Content-Type", "text/plain")])
        return [PERSON.get().encode(), b" ", environ["wsgi.input"].read()]

    assert ask(Dispatch(application, no_fastapi)) == [
        {"type": "http.response.start", "status": 201, "headers": [(b"content-type", b"text/plain")]},
        {"type": "http.response.body", "body": b"ada@example.com {}  ", "more_body": False},
    ]


def test_a_long_answer_comes_in_parts_of_which_few_are_held() -> None:
    made: list[int] = []

    def parts() -> Iterator[bytes]:
        for number in range(100):
            made.append(number)
            yield b"x" * 8192

    answer = Closing(parts())
    held: list[int] = []
    app = Dispatch(answering(answer), no_fastapi)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            held.append(8192 * len(made) - sum(held))
            assert len(message["body"]) == held[-1]

    asyncio.run(app(SCOPE, receive, send))
    assert sum(held) == 100 * 8192
    assert max(held) <= CHUNK_BYTES + 8192
    assert answer.closed == 1


def test_what_fails_is_raised_and_closed() -> None:
    def failing() -> Iterator[bytes]:
        yield b"x" * CHUNK_BYTES
        raise OSError("the disk is gone")

    answer = Closing(failing())
    with pytest.raises(OSError, match="gone"):
        ask(Dispatch(answering(answer), no_fastapi))
    assert answer.closed == 1


class FastApi:
    """What is called of MLflow's FastAPI application; it fails as an application of Starlette does."""

    def __init__(self) -> None:
        self.middleware: list[Any] = []

    def add_middleware(self, middleware: Any) -> None:
        self.middleware.append(middleware)

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        async def fail(*_: object) -> None:
            raise ValueError("no such shape")

        async def answer(*_: object) -> None:
            await send({"type": "http.response.body", "body": b"fastapi", "more_body": False})

        app = fail if scope["method"] == "DELETE" else answer
        for middleware in self.middleware:
            app = middleware(app)
        await app({**scope}, receive, send)


def test_fastapi_is_imported_when_it_is_asked_and_once() -> None:
    imported: list[FastApi] = []

    def load() -> FastApi:
        imported.append(FastApi())
        return imported[-1]

    def flask(_: object, start: Callable[..., object]) -> list[bytes]:
        start("200 OK", [])
        return [b"flask"]

    app = Dispatch(flask, load)

    async def bodies(*paths: str) -> list[bytes]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            sent.append(message)

        for path in paths:
            await app({**SCOPE, "path": path}, receive, send)
        return [message["body"] for message in sent if "body" in message]

    async def scenario() -> None:
        assert await bodies("/health", "/api/2.0/mlflow/runs/search", "/v1/tracesx") == [b"OK", b"flask", b"flask"]
        assert not imported
        both = bodies("/v1/traces"), bodies("/ajax-api/3.0/mlflow/mcp-servers/a/b")
        assert await asyncio.gather(*both) == [[b"fastapi"], [b"fastapi"]]
        assert len(imported) == 1

    asyncio.run(scenario())


def test_what_fastapi_fails_with_is_ours_to_answer() -> None:
    with pytest.raises(ValueError, match="no such shape"):
        ask(Dispatch(answering(Closing(iter(()))), FastApi), {**SCOPE, "path": "/v1/traces", "method": "DELETE"})


def test_the_server_starts_and_stops() -> None:
    messages = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []

    async def receive() -> Message:
        return {"type": next(messages)}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    asyncio.run(Dispatch(answering(Closing(iter(()))), no_fastapi)({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
