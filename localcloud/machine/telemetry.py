"""Telemetry of the machine: log entries, and points of Google's metrics that it can count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.machine.printing import Follower
from localcloud.machine.timeseries import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from containers.container import Container
    from containers.engine import Engine
    from localcloud.machine.logbook import Logbook, Source
    from localcloud.terraform.model import Object

MEASURED = frozenset(
    {
        "cloudsql.googleapis.com/database/disk/bytes_used",
        "cloudsql.googleapis.com/database/disk/quota",
        "cloudsql.googleapis.com/database/disk/utilization",
        "cloudsql.googleapis.com/database/memory/quota",
        "cloudsql.googleapis.com/database/memory/total_usage",
        "cloudsql.googleapis.com/database/memory/usage",
        "cloudsql.googleapis.com/database/memory/utilization",
        "cloudsql.googleapis.com/database/network/connections",
        "cloudsql.googleapis.com/database/postgresql/num_backends",
        "cloudsql.googleapis.com/database/up",
        "logging.googleapis.com/log_entry_count",
        "monitoring.googleapis.com/uptime_check/check_passed",
        "monitoring.googleapis.com/uptime_check/http_status",
        "monitoring.googleapis.com/uptime_check/request_latency",
        "run.googleapis.com/container/instance_count",
        "run.googleapis.com/job/completed_execution_count",
        "run.googleapis.com/job/completed_task_attempt_count",
        "run.googleapis.com/job/running_executions",
        "run.googleapis.com/request_count",
        "run.googleapis.com/request_latencies",
    }
)
"""The metrics that are counted here."""
_TOO_MUCH = "https://cloud.google.com/run/docs/configuring/memory-limits"
_SIGNALLED = 128
_SERVER_ERROR, _CLIENT_ERROR = 500, 400


class Telemetry:
    """Log entries and time series of one local cloud.

    Args:
        engine: Whose containers print.
        logbook: Where entries go.
    """

    def __init__(self, engine: Engine, logbook: Logbook) -> None:
        self._engine = engine
        self.logbook = logbook
        self.series = TimeSeries()
        logbook.listen(self._count_entry)

    def _count_entry(self, entry: Mapping[str, object]) -> None:
        resource, log = entry["resource"], str(entry["logName"]).partition("/logs/")[2]
        if isinstance(resource, dict):
            labels = {"log": log.replace("%2F", "/"), "severity": str(entry["severity"])}
            self._record("logging.googleapis.com/log_entry_count", resource["type"], resource["labels"], labels)  # pyright: ignore[reportUnknownArgumentType]

    def _record(
        self, metric: str, resource: str, of: Mapping[str, str], labels: Mapping[str, str], value: float = 1
    ) -> None:
        self.series.record(metric, resource, (of, labels), value, self.logbook.clock.now().timestamp())

    def measure(self, source: Source, metric: str, value: float, **labels: str) -> None:
        """Adds a point of a metric: a sample, or by how much a counter grew."""
        self._record(metric, source.resource, {"project_id": source.project, **source.resource_labels}, labels, value)

    def follow(self, container: Container, source: Source) -> Follower:
        """Makes entries of what a container prints."""

        def line(stream: str, text: str) -> None:
            self.logbook.line(source, stream, text)

        return Follower(self._engine, container, line)

    def ended(self, source: Source, status: int, memory_mib: int | None) -> None:
        """Notes the end of a container, as Cloud Run says it.

        Args:
            source: The instance, or the task.
            status: Its exit status.
            memory_mib: The limit, if it had no memory left; else None.
        """
        if memory_mib is not None:
            text = (
                f"Memory limit of {memory_mib} MiB exceeded with {memory_mib} MiB used. Consider increasing the memory"
            )
            self.logbook.system(source, "ERROR", f"{text} limit, see {_TOO_MUCH}")
        if status > _SIGNALLED:
            self.logbook.system(source, "WARNING", f"Container terminated on signal {status - _SIGNALLED}.")
        else:
            self.logbook.system(source, "WARNING", f"Container called exit({status}).")

    def request(self, source: Source, status: int, latency_s: float, fields: Mapping[str, str], said: str = "") -> None:
        """Notes a request that was answered.

        Args:
            source: The revision that it was for.
            status: Of the answer.
            latency_s: Seconds from its arrival to the end of the answer.
            fields: More fields of an HttpRequest.
            said: Why the platform answered by itself.
        """
        labels = {"response_code": str(status), "response_code_class": f"{status // 100}xx", "route": ""}
        self.measure(source, "run.googleapis.com/request_count", 1, **labels)
        self.measure(source, "run.googleapis.com/request_latencies", latency_s * 1000, **labels)
        severity = "ERROR" if status >= _SERVER_ERROR else "WARNING" if status >= _CLIENT_ERROR else "INFO"
        asked: Object = {**fields, "latency": f"{latency_s:.9f}s", "status": status}
        self.logbook.write(
            source,
            "run.googleapis.com/requests",
            severity,
            httpRequest=asked,
            **({"textPayload": said} if said else {}),
        )
