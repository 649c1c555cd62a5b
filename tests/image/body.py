"""A request with a body to the part of the image that bounds bodies, without MLflow."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun import bodies

MIB = 1024 * 1024
LOG_BATCH = "/api/2.0/mlflow/runs/log-batch"
TRACES = "/v1/traces"
PROTOBUF = {"Content-Type": "application/x-protobuf"}
GRAPHQL = "/graphql"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers with what it got, in one piece."""
    message = await receive()
    assert not message.get("more_body")
    names = [name.decode() for name, _ in scope["headers"]]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-names", " ".join(names).encode())]})
    await send({"type": "http.response.body", "body": message["body"]})


def post(path: str, content: bytes | AsyncIterator[bytes], **headers: str) -> httpx.Response:
    """Returns the answer to one request."""

    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=bodies.BoundedBodies(echo))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.post(path, content=content, headers=named)

    return asyncio.run(call())


def in_parts(part: bytes, count: int) -> AsyncIterator[bytes]:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield part

    return parts()


def spans(count: int) -> bytes:
    """Returns an export of many spans as small as they can be."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(count):
        scope.spans.add(trace_id=bytes(16), span_id=number.to_bytes(8, "big"))
    return request.SerializeToString()
