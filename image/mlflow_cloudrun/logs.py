"""Log lines as Cloud Logging's JSON, with the trace of the request that they belong to; one line a request.

Fields: https://cloud.google.com/logging/docs/structured-logging#special-payload-fields
"""

import io
import json
import logging
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any, TypeAlias, cast

from mlflow_cloudrun.identity import Asked, address, asked

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

TRACE_HEADER = b"x-cloud-trace-context"  # the edge leaves the trace's id there, and nothing else
logger = logging.getLogger("mlflow_cloudrun")
request_logger = logging.getLogger("requests")
trace: ContextVar[str] = ContextVar("trace", default="")
# Tokens (JWT, Google's access and refresh tokens, client secrets, codes of a sign-in), what follows a scheme's name,
# and long runs of base64 such as our own cookie. https://cloud.google.com/docs/authentication/token-types
# A run is looked at from its start alone: from each of its characters, 16 KiB that anybody sent would take seconds.
CREDENTIAL = re.compile(
    r"eyJ[\w-]+(?:\.[\w-]*)*|ya29\.[\w.-]+|1//0[\w-]+|4/0[\w-]{20,}|GOCSPX-[\w-]+"
    r"|(?<=[Bb]earer )\S+|(?<=[Bb]asic )\S+|(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{80,}"
)
LONGEST_VALUE = 2000


def without_credentials(value: object) -> object:
    """Returns a value of JSON with each text's credentials taken out."""
    if isinstance(value, str):
        return CREDENTIAL.sub("[credential]", value)
    if isinstance(value, list):
        return [without_credentials(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {name: without_credentials(item) for name, item in fields.items()}
    return value


class JsonFormatter(logging.Formatter):
    """One log record, one line of JSON; a traceback is part of the message, where Error Reporting looks for it."""

    def __init__(self) -> None:
        super().__init__()
        # Logs Explorer nests entries below their request by this name: https://cloud.google.com/run/docs/logging#correlate-logs
        project = os.environ.get("GOOGLE_CLOUD_PROJECT", "")
        self.traces = f"projects/{project}/traces/" if project else ""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        entry: dict[str, object] = {"severity": record.levelname, "logger": record.name, "message": message}
        entry |= getattr(record, "fields", {})
        if trace.get():
            entry["logging.googleapis.com/trace"] = self.traces + trace.get()
        return json.dumps(without_credentials(entry))


class LineLogger(io.TextIOBase):
    """A stream for what is printed instead of logged: each line becomes a log record."""

    def __init__(self, level: int) -> None:
        self.level = level

    def write(self, text: str) -> int:
        """Logs each line that is not blank."""
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  click tries bytes first
            raise TypeError("a text stream takes str")
        for line in text.splitlines():
            if line.strip():
                logging.getLogger("stdio").log(self.level, "%s", line)
        return len(text)


class RequestLog:
    """ASGI middleware: remembers who asks, and the trace's id; logs who asked what, except for start.sh's probe.

    The query is left out: it may hold what a client put there by mistake.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes the request on and logs it when it is answered."""
        current = Asked(address(scope.get("headers", ())))
        asked.set(current)
        if scope["type"] != "http" or scope["path"] == "/health":
            await self.app(scope, receive, send)
            return
        headers = dict[bytes, bytes](scope["headers"])
        trace.set(headers.get(TRACE_HEADER, b"").decode("latin-1"))
        request: dict[str, object] = {"requestMethod": scope["method"], "requestUrl": scope["path"], "status": 500}
        request["userAgent"] = headers.get(b"user-agent", b"").decode("latin-1")[:LONGEST_VALUE]

        async def note(message: Message) -> None:
            request["status"] = message.get("status", request["status"])
            await send(message)

        start = time.monotonic()
        try:
            await self.app(scope, receive, note)
        finally:
            request["latency"] = f"{time.monotonic() - start:.3f}s"
            fields = {"httpRequest": request, **current.entry()}
            request_logger.info("%s %s %s", scope["method"], scope["path"], request["status"], extra={"fields": fields})


def configure() -> None:
    """Sends every record, warning, print and uncaught exception of this process to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(capture=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    sys.excepthook = lambda kind, error, place: logger.critical(
        "%s: %s", kind.__name__, error, exc_info=(kind, error, place)
    )
    sys.stdout = LineLogger(logging.INFO)
    sys.stderr = LineLogger(logging.WARNING)
