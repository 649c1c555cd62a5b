"""Cloud Logging: what containers print and what Cloud Run says of them, as log entries in a file.

Left out: routing, retention and exclusion. The newest entries are kept, a limited number of bytes.
https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, cast

from localcloud.services.logging_query import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from localcloud.clock import Clock
    from localcloud.terraform.model import Object, Value

FILE = "entries.jsonl"
_MOST_BYTES = 32 * 1024 * 1024
_SYSTEM = "run.googleapis.com/varlog/system"
# https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
_SPECIAL = {
    "httpRequest": "httpRequest",
    "logging.googleapis.com/insertId": "insertId",
    "logging.googleapis.com/operation": "operation",
    "logging.googleapis.com/sourceLocation": "sourceLocation",
    "logging.googleapis.com/spanId": "spanId",
    "logging.googleapis.com/trace": "trace",
    "logging.googleapis.com/trace_sampled": "traceSampled",
}
_LABELS = "logging.googleapis.com/labels"


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The monitored resource of log entries.

    Attributes:
        project: The project.
        resource: The type of the monitored resource.
        resource_labels: Its labels, except for the project's.
        labels: Labels of the entries themselves.
    """

    project: str
    resource: str
    resource_labels: Mapping[str, str]
    labels: Mapping[str, str]


class Logbook:
    """The log entries of one local cloud.

    Args:
        folder: Where the file is.
        clock: The time of the entries.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / FILE
        self.clock = clock
        self._numbers = count()
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Object], None]] = []

    def listen(self, listener: Callable[[Object], None]) -> None:
        """Calls a function with each entry from now on."""
        self._listeners.append(listener)

    def write(self, source: Source, log: str, severity: str, **fields: Value) -> Object:
        """Writes an entry.

        Args:
            source: What it is of.
            log: The log's id, such as `run.googleapis.com/stderr`.
            severity: One of `SEVERITIES`.
            fields: More fields of a LogEntry.
        """
        own: Object = {
            "insertId": f"{os.getpid():x}{next(self._numbers):08x}",
            "labels": {**source.labels},
            "logName": f"projects/{source.project}/logs/{log.replace('/', '%2F')}",
            "receiveTimestamp": self.clock.timestamp(),
            "resource": {
                "labels": {"project_id": source.project, **source.resource_labels},
                "type": source.resource,
            },
            "severity": severity,
            "timestamp": self.clock.timestamp(),
        }
        entry = own | fields
        entry["labels"] = cast("Object", own["labels"]) | cast("Object", fields.get("labels") or {})
        with self._lock:
            self._append(json.dumps(entry))
        for listener in self._listeners:
            listener(entry)
        return entry

    def system(self, source: Source, severity: str, text: str) -> None:
        """Writes what Cloud Run itself says of a container."""
        self.write(source, _SYSTEM, severity, textPayload=text)

    def line(self, source: Source, stream: str, line: str) -> None:
        """Writes a line that a container has printed; one of JSON becomes fields.

        https://cloud.google.com/run/docs/logging#container-logs
        """
        if not line.strip():
            return
        severity, fields = _read(line)
        self.write(source, f"run.googleapis.com/{stream}", severity, **fields)

    def _append(self, line: str) -> None:
        if not self._path.exists():
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
        with self._path.open("a") as file:
            file.write(f"{line}\n")
            size = file.tell()
        if size > _MOST_BYTES:
            self._path.replace(self._path.with_suffix(".old"))


def entries(folder: Path) -> Iterator[Object]:
    """The entries of a local cloud that are kept, the first one first."""
    for path in ((folder / FILE).with_suffix(".old"), folder / FILE):
        if path.exists():
            for line in path.read_text().splitlines():
                yield json.loads(line)


def _read(line: str) -> tuple[str, Object]:
    """The severity and the payload of a line."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return SEVERITIES[0], {"textPayload": line}
    payload = cast("Object", found)
    severity = str(payload.pop("severity", "") or "").upper()
    fields: Object = {field: payload.pop(name) for name, field in _SPECIAL.items() if name in payload}
    labels = payload.pop(_LABELS, None)
    if isinstance(labels, dict):
        fields["labels"] = labels
    fields["jsonPayload"] = payload
    return severity if severity in SEVERITIES else SEVERITIES[0], fields
