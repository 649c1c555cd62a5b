"""A request passes through, and its answer back, as if nobody stood in between; bodies are never held in memory."""

from __future__ import annotations

import asyncio
import gzip
import json
import resource
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from aiohttp import ClientError, ClientSession, web

from localcloud.machine.background import serving
from localcloud.machine.callers import EVERYBODY
from localcloud.machine.forwarding import client, forward, same_path

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SESSION = web.AppKey("session", ClientSession)
PIECE = b"x" * (1 << 20)
PIECES = 300
DEADLINE_S = 20


def front(origin: str, timeout_s: float = DEADLINE_S, **headers: str) -> web.Application:
    async def own_client(application: web.Application) -> AsyncGenerator[None]:
        async with client() as application[SESSION]:
            yield

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            async with asyncio.timeout(timeout_s):
                return await forward(request, request.app[SESSION], same_path(request, origin), headers=headers)
        except ClientError:
            raise web.HTTPBadGateway from None
        except TimeoutError:
            raise web.HTTPGatewayTimeout from None

    application = web.Application()
    application.cleanup_ctx.append(own_client)
    application.router.add_route("*", "/{path:.*}", handle)
    return application


@contextmanager
def behind(handler: Handler, timeout_s: float = DEADLINE_S, **headers: str) -> Iterator[httpx.Client]:
    """A client of a front that forwards to the handler."""
    application = web.Application(client_max_size=1 << 40)
    application.router.add_route("*", "/{path:.*}", handler)
    with (
        serving(application, callers=EVERYBODY) as port,
        serving(front(f"http://127.0.0.1:{port}", timeout_s, **headers), callers=EVERYBODY) as front_port,
        httpx.Client(base_url=f"http://127.0.0.1:{front_port}", timeout=DEADLINE_S) as caller,
    ):
        yield caller


def raw_answer(caller: httpx.Client, request: bytes) -> bytes:
    """What comes back, byte for byte, for a request that asks for the end of the connection."""
    with socket.create_connection(("127.0.0.1", caller.base_url.port or 0), timeout=DEADLINE_S) as connection:
        connection.sendall(request)
        return connection.makefile("rb").read()


async def mirror(request: web.Request) -> web.Response:
    """Answers with what came."""
    body = await request.read()
    seen = {"method": request.method, "path": request.raw_path, "headers": dict(request.headers), "body": body.decode()}
    return web.json_response(seen)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_method_path_and_body_arrive_as_they_were_sent(method: str) -> None:
    with behind(mirror) as caller:
        seen = caller.request(method, "/a%2Fb/..%2f/%C3%BC;v=1?q=%2B+x&q=2", content=b"hello").json()
    assert (seen["method"], seen["path"], seen["body"]) == (method, "/a%2Fb/..%2f/%C3%BC;v=1?q=%2B+x&q=2", "hello")


def test_headers_arrive_but_for_those_of_one_connection_and_those_that_are_replaced() -> None:
    sent = {
        "Host": "mlflow.example.com",
        "Connection": "close, X-Secret",
        "X-Secret": "1",
        "X-Kept": "2",
        "X-Forwarded-Proto": "gopher",
        "TE": "trailers",  # codespell:ignore te
        "Keep-Alive": "timeout=5",
        "Cookie": "a=1; b=2",
    }
    with behind(mirror, **{"X-Forwarded-Proto": "https"}) as caller:
        headers = caller.get("/", headers=sent).json()["headers"]
    assert headers["Host"] == "mlflow.example.com"
    assert headers["X-Forwarded-Proto"] == "https"
    assert (headers["X-Kept"], headers["Cookie"]) == ("2", "a=1; b=2")
    assert not {"X-Secret", "TE", "Keep-Alive", "Connection"} & set(headers)  # codespell:ignore te


def test_nothing_is_added_to_what_the_caller_said() -> None:
    request = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
    with behind(mirror) as caller:
        answer = raw_answer(caller, request)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["headers"] == {"Host": "h", "Content-Length": "2"}


def test_cookies_and_repeated_headers_of_the_answer_come_back_and_none_is_remembered() -> None:
    async def set_two(request: web.Request) -> web.Response:
        response = web.Response(text=request.headers.get("Cookie", "none"))
        response.headers.add("Set-Cookie", "a=1")
        response.headers.add("Set-Cookie", "b=2")
        return response

    with behind(set_two) as caller:
        answers = [httpx.get(caller.base_url) for _ in range(2)]
    assert [answer.headers.get_list("Set-Cookie") for answer in answers] == [["a=1", "b=2"]] * 2
    assert [answer.text for answer in answers] == ["none", "none"]


def test_a_large_upload_and_a_large_download_are_never_held() -> None:
    async def count(request: web.Request) -> web.StreamResponse:
        received = 0
        async for piece in request.content.iter_any():
            received += len(piece)
        response = web.StreamResponse(headers={"Received": str(received)})
        await response.prepare(request)
        for _ in range(PIECES):
            await response.write(PIECE)
        return response

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with behind(count) as caller, caller.stream("POST", "/", content=(PIECE for _ in range(PIECES))) as answer:
        sizes = [len(piece) for piece in answer.iter_raw()]
    held_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert int(answer.headers["Received"]) == sum(sizes) == PIECES * len(PIECE)
    assert held_kib < PIECES * 1024 / 4


def test_a_piece_arrives_before_the_answer_ends() -> None:
    release = threading.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await asyncio.to_thread(release.wait, DEADLINE_S)
        await response.write(b"second")
        return response

    with behind(slowly) as caller, caller.stream("GET", "/") as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"first"
        release.set()
        assert b"".join(pieces) == b"second"


def test_a_compressed_answer_passes_untouched() -> None:
    packed = gzip.compress(b"hello" * 100)

    async def answer_packed(_: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    with behind(answer_packed) as caller, caller.stream("GET", "/") as answer:
        assert b"".join(answer.iter_raw()) == packed
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Content-Length"] == str(len(packed))


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "unheard-of"])
def test_a_compressed_body_arrives_untouched(encoding: str, *, chunked: bool) -> None:
    packed = gzip.compress(b"hello" * 100)

    async def tell(request: web.Request) -> web.Response:
        body, said = await request.read(), request.headers
        return web.json_response([body.hex(), said["Content-Encoding"], said.get("Content-Length")])

    with behind(tell) as caller:
        content = iter([packed[:9], packed[9:]]) if chunked else packed
        answer = caller.post("/", content=content, headers={"Content-Encoding": encoding})
    assert answer.json() == [packed.hex(), encoding, None if chunked else str(len(packed))]


def test_the_answer_to_head_states_the_length_and_has_no_body() -> None:
    async def length(_: web.Request) -> web.Response:
        return web.Response(body=b"12345")

    with behind(length) as caller:
        answers = [caller.head("/"), caller.get("/")]
    assert [(answer.headers["Content-Length"], answer.content) for answer in answers] == [("5", b""), ("5", b"12345")]


@pytest.mark.parametrize("status", [204, 302, 304, 308, 404, 500])
def test_every_status_comes_back_with_its_headers(status: int) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"ETag": '"1"', "Location": "http://elsewhere.example.com/"})

    with behind(answer) as caller:
        got = [caller.get("/") for _ in range(2)]  # the connection can still be used
    assert [(a.status_code, a.headers["ETag"], a.headers["Location"], a.content) for a in got] == [
        (status, '"1"', "http://elsewhere.example.com/", b"")
    ] * 2


def test_a_server_that_is_not_there_is_an_error_for_the_caller_to_answer() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with serving(front(f"http://127.0.0.1:{nobody.getsockname()[1]}")) as port:
            assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 502


def test_half_an_answer_never_looks_like_a_whole_one() -> None:
    async def dies(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport
        request.transport.close()
        return response

    with behind(dies) as caller, pytest.raises(httpx.TransportError):
        caller.get("/")


def test_a_timeout_before_the_answer_is_for_the_caller_to_answer_and_one_within_ends_it() -> None:
    async def stalls(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})  # what follows must not pass for the rest
        if request.path == "/begun":
            await response.prepare(request)
            await response.write(b"half")
        await asyncio.sleep(DEADLINE_S)
        return response

    with behind(stalls, timeout_s=0.2) as caller:
        assert caller.get("/").status_code == 504
        with pytest.raises(httpx.RemoteProtocolError):
            caller.get("/begun")


def test_when_the_client_goes_away_the_server_learns_it() -> None:
    gone = threading.Event()

    async def waits(_: web.Request) -> web.Response:
        try:
            await asyncio.sleep(DEADLINE_S)
        finally:
            gone.set()
        return web.Response()

    with behind(waits) as caller:
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(caller.base_url, timeout=0.2)
        assert gone.wait(DEADLINE_S / 2)


@pytest.mark.parametrize("target", [b"@evil.example.com/", b"http://evil.example.com/", b"*"])
def test_only_paths_are_forwarded(target: bytes) -> None:
    with behind(mirror) as caller:
        answer = raw_answer(caller, b"OPTIONS " + target + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert answer.split()[1] in {b"400", b"404"}
