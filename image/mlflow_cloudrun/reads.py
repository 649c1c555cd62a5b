"""Bounds how much one request, and all together, may read from the database into memory.

MLflow takes whatever a search finds into memory, several times over: 300,000 metrics were 600 MiB. What a page of an
answer holds is up to the data: a run has one metric or thousands, a span ten bytes or megabytes. Thus rows are weighed
as they come (cursors.py), and a page that is too heavy is made shorter (pages.py).
"""

import json
import sys
import threading
from collections.abc import Sequence
from contextvars import ContextVar
from json.encoder import encode_basestring_ascii
from typing import Any, TypeVar

from mlflow.exceptions import MlflowException

from mlflow_cloudrun import errors
from mlflow_cloudrun.limits import MIB
from mlflow_cloudrun.logs import App, Message, Receive, Send

# tests/image/test_answers.py measures that an instance lives with as many as fit.
MOST_OF_ONE = 160 * MIB
MOST_OF_ALL = 192 * MIB
FREE = 2 * MIB  # of each request: the small ones are served whatever the large ones hold
PER_ROW = 2048  # as a row, as an object of SQLAlchemy, as MLflow's entity, as a message
PER_TEXT_BYTE = 2
PER_JSON_BYTE = 4  # of the text in the answer
# A text of any length may be JSON that MLflow makes objects of: of the attributes of spans it makes messages.
PER_SIGN = {"{": 2200, "[": 400, ",": 600}
TOO_LARGE = (
    "The answer would take more memory than the server has for one request. Ask for less: a shorter page "
    "(max_results), fewer ids, a narrower filter."
)
BUSY = "The server is busy: other answers use the memory that this one needs. Nothing was changed; try again."


class TooMuchError(MlflowException):
    """A request would read more than it may, or more than is left."""


class Memory:
    """Bytes that all requests together hold beyond what is free for each; threads take and give back.

    Nobody waits for them: whoever reads holds a connection to the database.

    Args:
        size: Bytes that are there to take.
    """

    def __init__(self, size: int) -> None:
        self.left = size
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Takes so many bytes, or gives some back; returns whether they were there."""
        with self._lock:
            if count > self.left:
                return False
            self.left -= count
            return True


class Reading:
    """The memory that one request holds for what it has read.

    Args:
        memory: From which it takes.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.weight = 0

    def add(self, rows: Sequence[Sequence[object]], *, parsed: bool) -> None:
        """Counts rows that have come; `parsed` if they have texts that MLflow may parse."""
        texts = sum(weight_of(value, parsed=parsed) for row in rows for value in row if isinstance(value, str))
        self.add_weight(PER_ROW * len(rows) + texts)

    def add_weight(self, more: int) -> None:
        """Counts bytes.

        Raises:
            TooMuchError: They are more than one request may hold, or than the others leave.
        """
        weight = self.weight + more
        if weight > MOST_OF_ONE:
            raise errors.note(TOO_LARGE, status=413, error_code="BAD_REQUEST", kind=TooMuchError)
        if not self.memory.take(beyond_free(weight) - beyond_free(self.weight)):
            raise errors.note(BUSY, kind=TooMuchError)
        self.weight = weight

    def shrink(self, weight: int) -> None:
        """Gives back what is no longer held."""
        self.memory.take(beyond_free(weight) - beyond_free(self.weight))
        self.weight = weight


def weight_of(text: str, *, parsed: bool) -> int:
    """Returns how many bytes MLflow needs for a text until it has been sent."""
    signs = sum(weight * text.count(sign) for sign, weight in PER_SIGN.items()) if parsed else 0
    return PER_TEXT_BYTE * sys.getsizeof(text) + PER_JSON_BYTE * len(encode_basestring_ascii(text)) + signs


def beyond_free(weight: int) -> int:
    """Returns what counts for all requests together."""
    return max(0, weight - FREE)


everything = Memory(MOST_OF_ALL)
current: ContextVar[Reading | None] = ContextVar("reading", default=None)
Row = TypeVar("Row", bound=Sequence[object])


def weighed(rows: list[Row], *, parsed: bool) -> list[Row]:
    """Returns rows after they have been counted for the request that this thread works on.

    Args:
        rows: Some rows of a statement.
        parsed: Whether they have texts that MLflow may parse.

    Raises:
        TooMuchError: There are too many.
    """
    reading = current.get()
    if reading:
        reading.add(rows, parsed=parsed)
    return rows


def weighed_json(text: str) -> Any:  # noqa: ANN401
    """Parses a column of JSON for psycopg2, which does that before a row is there.

    Raises:
        TooMuchError: It is too much for this request.
    """
    reading = current.get()
    if reading:
        reading.add_weight(weight_of(text, parsed=True))
    return json.loads(text)


class BoundedReads:
    """ASGI middleware: counts what each request reads until its answer has been sent.

    Args:
        app: What answers.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        reading = Reading(everything)
        current.set(reading)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.body":  # of all that was read, the answer's text is left
                reading.shrink(min(reading.weight, len(message.get("body", b""))))
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            reading.shrink(0)
