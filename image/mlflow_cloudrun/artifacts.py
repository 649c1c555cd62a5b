"""Hands artifacts from the bucket to the browser as they are read: flat memory for any size, and nothing in /tmp.

MLflow downloads an artifact into /tmp, which is memory on Cloud Run, then sends it through a queue without bounds, with
a length; of answers with a length Cloud Run takes 32 MiB (https://cloud.google.com/run/quotas).

The seam is MLflow's registry of artifact repositories. Each of its handlers that sends a file asks the repository first
for `get_local_path`; ours leaves the object in the request's `Slot` and answers with headers alone, and the middleware
sends the content. MLflow's handlers go on to find the run, model or trace, and to check the path.
"""

import contextlib
from collections.abc import AsyncGenerator, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.responses import StreamingResponse

from mlflow_cloudrun.logs import App, Message, Receive, Send

# Each chunk is one request to the bucket, and held by a download until the client has read it: the more downloads at a
# time, the smaller they are.
ALL_CHUNKS_BYTES = 16 * 1024 * 1024
LARGEST_CHUNK_BYTES, SMALLEST_CHUNK_BYTES = 1024 * 1024, 64 * 1024
READERS = 8  # threads that read chunks; MLflow's own wait for the database
# Cloud Run refuses longer answers that have a length.
LONGEST_WITH_LENGTH = 30 * 1024 * 1024
PARAMETERS = ("path", "artifact_file_path", "artifact_directory_path")
# MLflow decodes a path until it holds no %, and refuses #. Both are plain characters in an object's name: they pass
# its check as characters of the private use area, and come back in the repository.
DISGUISE = {"%": "\ue025", "#": "\ue023"}


@dataclass
class Slot:
    """Where the answer to one request is left.

    Attributes:
        read: Returns the object's bytes from a first one to a last one; None for an answer of MLflow's own.
        start: First byte to send.
        stop: The byte after the last one.
    """

    read: Callable[[int, int], bytes] | None = None
    start: int = 0
    stop: int = 0


slot: ContextVar[Slot | None] = ContextVar("slot", default=None)


def disguised(query: bytes) -> bytes:
    """Returns a query string whose paths pass MLflow's check as they are."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    if not any(name in PARAMETERS and set(value) & set(DISGUISE) for name, value in pairs):
        return query
    table = str.maketrans(DISGUISE)
    return urlencode(
        [(name, value.translate(table) if name in PARAMETERS else value) for name, value in pairs]
    ).encode()


def undisguised(path: str) -> str:
    """Returns the path as the client wrote it."""
    return path.translate({ord(mask): character for character, mask in DISGUISE.items()})


def without_long_length(message: Message) -> Message:
    """Returns an answer's start without a length that Cloud Run would refuse: it is sent in chunks then."""
    if message["type"] != "http.response.start":
        return message
    headers = [
        (name, value)
        for name, value in message["headers"]
        if name.lower() != b"content-length" or int(value) <= LONGEST_WITH_LENGTH
    ]
    return {**message, "headers": headers}


class StreamedArtifacts:
    """ASGI middleware: sends what a handler of MLflow left in the slot; long answers of any kind go without a length.

    Args:
        app: What answers.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.readers: CapacityLimiter | None = None
        self.downloads = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes the request on; sends the object when MLflow is done with it and its threads are free."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        mine = Slot()
        slot.set(mine)
        head: list[Message] = []

        async def hold_back(message: Message) -> None:
            if scope["method"] == "HEAD":
                await send(message)
            elif mine.read is None:
                await send(without_long_length(message))
            elif message["type"] == "http.response.start":
                head.append(message)

        await self.app({**scope, "query_string": disguised(scope["query_string"])}, receive, hold_back)
        if head:
            await self.stream(mine, head[0], scope, receive, send)

    async def stream(self, file: Slot, head: Message, scope: Message, receive: Receive, send: Send) -> None:
        """Sends the answer; stops reading when the client leaves."""
        self.readers = self.readers or CapacityLimiter(READERS)  # belongs to the event loop
        chunks = self.chunks(file)
        first = await anext(chunks, b"")  # what fails until here is still an answer

        async def content() -> AsyncGenerator[bytes]:
            nonlocal first
            yield first
            first = b""
            async for chunk in chunks:
                yield chunk

        answer = StreamingResponse(content(), status_code=head["status"])
        answer.raw_headers = without_long_length(head)["headers"]
        async with contextlib.aclosing(chunks):
            await answer(scope, receive, send)

    def chunk_size(self) -> int:
        """Returns how many bytes each download takes at a time."""
        return min(LARGEST_CHUNK_BYTES, max(SMALLEST_CHUNK_BYTES, ALL_CHUNKS_BYTES // self.downloads))

    async def chunks(self, file: Slot) -> AsyncGenerator[bytes]:
        """Yields the object's bytes as they are stored."""
        assert file.read  # noqa: S101  or MLflow has answered
        self.downloads += 1
        try:
            start = file.start
            while start < file.stop:
                stop = min(start + self.chunk_size(), file.stop)
                yield await anyio.to_thread.run_sync(file.read, start, stop - 1, limiter=self.readers)
                start = stop
        finally:
            self.downloads -= 1
