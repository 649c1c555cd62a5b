"""Log lines of HAProxy and oauth2-proxy, in front of MLflow: they arrive on standard input and leave as our own.

Neither of the two escapes what a caller sent well enough for JSON, nor knows a credential when it quotes one.
"""

import json
import logging
import os
import re
import sys
import threading
from typing import IO, cast

from mlflow_cloudrun import logs

LONGEST_LINE = 64 * 1024
TRACE = re.compile(r"[0-9a-f]{32}")
# How HAProxy says that a session ended: https://docs.haproxy.org/3.0/configuration.html#8.5
ENDS = {
    "C": "the caller left",
    "c": "the caller was too slow",
    "S": "oauth2-proxy left",
    "s": "the answer took too long",
    "L": "refused",
    "P": "malformed",
}


def entry(line: bytes) -> dict[str, object]:
    """Returns the fields of one line; what is not JSON is the message as a whole."""
    text = line.decode(errors="replace").strip()
    try:
        fields: object = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return {"severity": "INFO", "logger": "front", "message": text}
    found = cast("dict[str, object]", fields)
    return refusal(found) if found.get("logger") == "edge" else found


def refusal(fields: dict[str, object]) -> dict[str, object]:
    """Returns a line of HAProxy, which logs what it answered itself, in the form of MLflow's request log."""
    status, end = fields.get("status"), str(fields.get("end"))
    request = {name: fields.get(name) for name in ("requestMethod", "requestUrl", "status")}
    return {
        "severity": "WARNING",
        "logger": "edge",
        "message": f"{request['requestMethod']} {request['requestUrl']} {status}: {ENDS.get(end[:1], end)}",
        "httpRequest": request,
        "trace": fields.get("trace"),
    }


def hand_on(lines: IO[bytes]) -> None:
    """Logs each line until the stream ends."""
    while line := lines.readline(LONGEST_LINE):
        if not line.strip():
            continue
        fields = entry(line)
        severity = logging.getLevelNamesMapping().get(str(fields.pop("severity", "")), logging.INFO)
        trace = str(fields.pop("trace", ""))
        token = logs.trace.set(trace if TRACE.fullmatch(trace) else "")
        logger = logging.getLogger(str(fields.pop("logger", "front")))
        message = fields.pop("message", "")
        logger.log(severity, "%s", message, extra={"fields": fields})
        logs.trace.reset(token)


def watch() -> None:
    """Starts to hand lines on, in a thread that ends with the process."""
    # A file of its own: Python ends with an abort while a thread reads its standard input.
    lines = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    threading.Thread(target=hand_on, args=(lines,), name="front", daemon=True).start()
