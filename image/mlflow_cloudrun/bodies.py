"""Reads each body to its end before MLflow gets it: bounded in size, time and the memory that all of them need.

MLflow, Flask and FastAPI read whatever comes, into memory: one request of a signed-in person could end the instance.

A refusal, of ours or of MLflow's (its checks of Host and Origin), is sent when the body has been read: oauth2-proxy
otherwise stops sending the body and with it gives up the connection that the answer is coming on ("ReverseProxy read
error during body copy"), so that the client gets half an answer. By default Go's server does not read a body while it
answers: https://pkg.go.dev/net/http#ResponseController.EnableFullDuplex
"""

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from mlflow_cloudrun import encodings, shapes
from mlflow_cloudrun.budget import Lanes
from mlflow_cloudrun.limits import HEAVIEST, KIB, MIB, Limit, LimitError, limit_of, readable
from mlflow_cloudrun.logs import App, Message, Receive, Send
from mlflow_cloudrun.refusals import refuse

P = ParamSpec("P")
T = TypeVar("T")

WAIT_S = 30
# What has come must be as much as this rate gives at any time, after the first seconds: who trickles holds the memory
# of a large body no longer than that. One that is refused is read to its end for so long.
FIRST_S, SLOWEST_BYTES_PER_S = 10, 64 * KIB
DRAIN_S = 20
BUSY = 503
CODES = {400: "INVALID_PARAMETER_VALUE", BUSY: "TEMPORARILY_UNAVAILABLE"}
INLINE_BYTES = 64 * KIB  # less is unpacked and looked through in a millisecond


class ClientLeftError(Exception):
    """The client closed the connection before its request was complete."""


class BoundedBodies:
    """ASGI middleware: hands a request on when its body is complete and there is memory for it.

    Args:
        app: What answers.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        # 80 requests at a time (Cloud Run's concurrency) of less than 256 KiB do not wait for each other.
        self.held = Lanes(small=32 * MIB, large=96 * MIB, smallest_large=256 * KIB)
        self.worked_on = Lanes(small=96 * MIB, large=HEAVIEST, smallest_large=4 * MIB)
        self.threads: CapacityLimiter | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes the request on, or refuses it."""
        headers = headers_of(scope)
        if "transfer-encoding" not in headers and headers.get("content-length", "0") == "0":
            await self.app(scope, receive, send)
            return
        limit = limit_of(scope["path"])
        stream = Stream(receive)
        try:
            check_single(scope)
            applied = encodings.codings(headers.get("content-encoding", ""))
            size = expected_size(headers, limit, applied)
            async with self.held.share(size, WAIT_S) as share:
                body = await self.read(stream, limit, applied)
                share.shrink(len(body))
                media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
                weight = await self.aside(shapes.weigh, body, limit, media_type)
                async with self.worked_on.share(weight, WAIT_S):
                    await self.app(with_length(scope, len(body)), stream.replaying(body), send)
        except LimitError as refusal:
            # Its frames hold what was unpacked, which no budget counts from here on.
            refusal.__traceback__ = refusal.__cause__ = refusal.__context__ = None
            await stream.drain()
            code = CODES.get(refusal.status, "BAD_REQUEST")
            await refuse(send, refusal.status, code, refusal.message, retry=refusal.status == BUSY)
        except ClientLeftError:
            return

    async def read(self, stream: "Stream", limit: Limit, applied: list[str]) -> bytes:
        """Returns the body as it was before it was packed."""
        body = await stream.read(limit)
        for coding in applied:
            body = await self.aside(encodings.unpack, body, coding, limit.size)
        return body

    async def aside(
        self, function: Callable[Concatenate[bytes, P], T], body: bytes, *arguments: P.args, **options: P.kwargs
    ) -> T:
        """Runs what takes long for a large body in a thread, one at a time, so that others are answered meanwhile."""
        if len(body) < INLINE_BYTES:
            return function(body, *arguments, **options)
        self.threads = self.threads or CapacityLimiter(1)  # belongs to the event loop
        return await anyio.to_thread.run_sync(lambda: function(body, *arguments, **options), limiter=self.threads)


class Stream:
    """The messages of a request's body.

    Args:
        receive: Where they come from.
    """

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.ended = False

    async def next(self) -> bytes:
        """Returns the next part of the body.

        Raises:
            ClientLeftError: There is no more, and never will be.
        """
        message = await self.receive()
        if message["type"] == "http.disconnect":
            self.ended = True
            raise ClientLeftError
        self.ended = not message.get("more_body", False)
        return message.get("body", b"")

    async def read(self, limit: Limit) -> bytes:
        """Returns the rest.

        Raises:
            LimitError: It is longer than the limit, or comes too slowly.
        """
        parts: list[bytes] = []
        size = 0
        first = asyncio.get_running_loop().time() + FIRST_S
        while not self.ended:
            try:
                async with asyncio.timeout_at(first + size / SLOWEST_BYTES_PER_S):
                    parts.append(await self.next())
            except TimeoutError as error:
                raise LimitError(408, f"The body comes too slowly: {size} bytes so far. Send it again.") from error
            size += len(parts[-1])
            if size > limit.size:
                raise too_large(limit)
        return b"".join(parts)

    async def drain(self) -> None:
        """Drops the rest, for some time."""
        try:
            async with asyncio.timeout(DRAIN_S):
                while not self.ended:
                    await self.next()
        except (TimeoutError, ClientLeftError):
            return

    def replaying(self, body: bytes) -> Receive:
        """Returns what hands out the body once more, whole, and then tells when the client leaves."""
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                return await self.receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        return receive


def headers_of(scope: Message) -> dict[str, str]:
    """Returns a request's headers by their names in lower case; a web socket or the server's start has none."""
    if scope["type"] != "http":
        return {}
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def check_single(scope: Message) -> None:
    """Refuses a body that is described twice: of two content types, each reader might take another one.

    Raises:
        LimitError: A header is there twice.
    """
    names = [name.lower() for name, _ in scope["headers"]]
    for name in (b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"):
        if names.count(name) > 1:
            raise LimitError(400, f"The header {name.decode()} must be there once.")


def with_length(scope: Message, length: int) -> Message:
    """Returns the scope of the same request with a body that is neither packed nor in chunks, which Flask ignores."""
    replaced = (b"content-length", b"content-encoding", b"transfer-encoding")
    kept = [(name, value) for name, value in scope["headers"] if name.lower() not in replaced]
    return {**scope, "headers": [*kept, (b"content-length", str(length).encode())]}


def expected_size(headers: dict[str, str], limit: Limit, applied: list[str]) -> int:
    """Returns how many bytes must be free before the body is read.

    Raises:
        LimitError: The headers say already that the route does not take it.
    """
    if headers.get("content-type", "").lower().startswith("multipart/"):
        raise LimitError(415, "No route takes a form with files. Send JSON; artifacts are written to the bucket.")
    encodings.check(applied, packed=limit.kind == "otlp")
    # httptools refuses a length that is no number
    length = int(headers["content-length"]) if "content-length" in headers else limit.size
    if length > limit.size:
        raise too_large(limit)
    return length + (limit.size if applied else 0)


def too_large(limit: Limit) -> LimitError:
    """Returns the refusal of a body that is too long."""
    return LimitError(
        413, f"The body is larger than the {readable(limit.size)} that this route takes. {limit.instead}."
    )
