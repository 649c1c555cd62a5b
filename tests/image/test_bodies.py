"""What stands between a request's body and MLflow's memory, without MLflow: limits, packing, turns."""

import asyncio
import gzip
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.image.body import GRAPHQL, LOG_BATCH, MIB, PROTOBUF, TRACES, echo, in_parts, post, spans

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun import bodies, limits
from mlflow_cloudrun.artifacts import StreamedArtifacts
from mlflow_cloudrun.budget import Lanes


def test_a_body_arrives_as_it_was_sent() -> None:
    answer = post(LOG_BATCH, b'{"run_id": "1"}')
    assert (answer.status_code, answer.content) == (200, b'{"run_id": "1"}')


def test_a_body_in_chunks_arrives_whole_and_with_its_length() -> None:
    answer = post(LOG_BATCH, in_parts(b"    ", 1000))
    assert answer.content == b" " * 4000
    assert "content-length" in answer.headers["x-names"]
    assert "transfer-encoding" not in answer.headers["x-names"]


@pytest.mark.parametrize("limit", limits.LIMITS, ids=lambda limit: limit.routes)
@pytest.mark.parametrize("chunked", [True, False])
def test_each_route_has_a_limit_and_says_it(limit: limits.Limit, *, chunked: bool) -> None:
    paths = {
        "/v1/traces": TRACES,
        "/graphql": GRAPHQL,
        "datasets": "/api/3.0/mlflow/datasets/d-1/records",
        "log-inputs": "/ajax-api/2.0/mlflow/runs/log-inputs",
        "rest": LOG_BATCH,
        "everything": "/",
    }
    path = next(path for word, path in paths.items() if word in limit.routes)
    part, count = b" " * (64 * 1024), limit.size // (64 * 1024) + 1
    answer = post(path, in_parts(part, count) if chunked else part * count, content_type="application/json")
    assert answer.status_code == 413
    assert limits.readable(limit.size) in answer.json()["message"]
    assert limit.instead in answer.json()["message"]


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate ": lambda body: zlib.compress(body, wbits=-15),
    "GZIP": gzip.compress,
    "identity": lambda body: body,
    "identity, gzip": gzip.compress,
    "gzip ": lambda body: gzip.compress(body[:10]) + gzip.compress(body[10:]),
}


@pytest.mark.parametrize("coding", PACKED)
def test_packed_spans_are_unpacked(coding: str) -> None:
    body = spans(10)
    answer = post(TRACES, PACKED[coding](body), content_encoding=coding, **PROTOBUF)
    assert answer.content == body
    assert "content-encoding" not in answer.headers["x-names"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_unpacks_to_far_more_is_refused_at_the_limit(coding: str) -> None:
    packed = PACKED[coding](bytes(64 * MIB))
    answer = post(TRACES, packed, content_encoding=coding, **PROTOBUF)
    assert answer.status_code == 413
    assert "16 MiB" in answer.json()["message"]


def packed(body: bytes) -> bytes:
    """The body as gzip packs it, without the time: it is in the test's name, which two processes must agree on."""
    return gzip.compress(body, mtime=0)


@pytest.mark.parametrize(
    ("path", "coding", "body", "status"),
    [
        (TRACES, "br", b"", 415),
        (TRACES, "zstd", b"x", 415),
        (TRACES, "gzip, gzip", packed(packed(b"x")), 415),
        (TRACES, "gzip", b"no gzip", 400),
        (TRACES, "gzip", packed(b"x")[:-1], 400),
        (TRACES, "deflate", b"no deflate", 400),
        (TRACES, "deflate", zlib.compress(b"x" * 1000)[:-8], 400),
        (LOG_BATCH, "gzip", packed(b"{}"), 415),
    ],
)
def test_what_cannot_be_unpacked_is_refused(path: str, coding: str, body: bytes, status: int) -> None:
    answer = post(path, body or b"x", content_encoding=coding)
    assert answer.status_code == status
    assert answer.json()["message"]


def test_forms_with_files_are_refused() -> None:
    assert post(LOG_BATCH, b"--x", content_type="multipart/form-data; boundary=x").status_code == 415


def test_large_ones_wait_in_line_and_small_ones_pass_them() -> None:
    async def scenario() -> list[str]:
        lanes = Lanes(small=100, large=100, smallest_large=10)
        order: list[str] = []

        async def use(name: str, size: int) -> None:
            async with lanes.share(size, 5):
                order.append(name)
                await asyncio.sleep(0)

        async with lanes.share(90, 5):
            waiting = [asyncio.create_task(use(name, size)) for name, size in (("first", 80), ("second", 20))]
            await use("small", 5)
        await asyncio.gather(*waiting)
        return order

    assert asyncio.run(scenario()) == ["small", "first", "second"]


def test_who_waits_too_long_is_told_to_come_again_and_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> tuple[httpx.Response, int]:
        middleware = bodies.BoundedBodies(echo)
        async with middleware.held.share(middleware.held.large.size, 1):
            transport = httpx.ASGITransport(app=middleware)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                answer = await client.post(TRACES, content=b"x" * MIB, headers=PROTOBUF)
        return answer, middleware.held.large.left

    monkeypatch.setattr(bodies, "WAIT_S", 0.01)
    answer, left = asyncio.run(scenario())
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "try again" in answer.json()["message"]
    assert left == 96 * MIB


def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    monkeypatch.setattr(bodies, "FIRST_S", 0.1)
    monkeypatch.setattr(bodies, "DRAIN_S", 0.01)
    assert post(LOG_BATCH, trickle()).status_code == 408


@pytest.mark.parametrize("name", ["Content-Type", "Content-Length", "Content-Encoding"])
def test_a_body_that_is_described_twice_is_refused(name: str) -> None:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=bodies.BoundedBodies(echo))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            headers = [("Content-Length", "2"), (name, "1"), (name, "2")]
            return await client.post(LOG_BATCH, content=b"{}", headers=headers)

    assert asyncio.run(call()).status_code == 400


def test_what_was_held_is_given_back_also_after_an_error() -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError

    async def scenario() -> None:
        middleware = bodies.BoundedBodies(fail)
        transport = httpx.ASGITransport(app=middleware)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for _ in range(3):
                with pytest.raises(RuntimeError):
                    await client.post(TRACES, content=spans(100), headers=PROTOBUF)
        for budget in (*vars(middleware.held).values(), *vars(middleware.worked_on).values()):
            assert isinstance(budget, int) or budget.left == budget.size

    asyncio.run(scenario())


def test_the_most_that_one_body_may_need_is_there() -> None:
    middleware = bodies.BoundedBodies(echo)
    assert middleware.worked_on.large.size >= limits.HEAVIEST
    assert middleware.held.large.size >= 2 * max(limit.size for limit in limits.LIMITS)


@pytest.mark.parametrize(("mib", "has_length"), [(1, True), (33, False)])
def test_an_answer_that_cloud_run_would_refuse_goes_without_a_length(mib: int, *, has_length: bool) -> None:
    async def answer(_scope: Any, _receive: Any, send: Any) -> None:
        length = str(mib * MIB).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": bytes(mib * MIB)})

    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=StreamedArtifacts(answer))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/")

    got = asyncio.run(call())
    assert len(got.content) == mib * MIB
    assert ("content-length" in got.headers) is has_length
