"""Writes rows of each kind through MLflow's own store and prints what each costs, as JSON; runs in the image.

A kind is written many times, so that half-filled pages do not count; its bytes are what tables and indexes grew by.
"""

# pyright: reportUnknownMemberType=false

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator

from mlflow.entities import (
    Metric,
    Param,
    RunStatus,
    RunTag,
    TraceInfo,
    TraceLocation,
    TraceState,
)
from mlflow.entities.span import Span, create_mlflow_span
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow_cloudrun import indexes, mysql_login
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags
from sqlalchemy import text

RUNS, KEYS, VALUES = 1_000, 20, 60
TRACES, SPANS = 500, 10
CONTENT = "x" * 1_000
EXPERIMENT = "0"
START_MS = 1_700_000_000_000
SIZE = {
    "postgresql": "SELECT SUM(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace ="
    " 'public'::regnamespace",
    "mysql": "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = DATABASE()",
}


class Rows:
    """A store, and what is written there."""

    def __init__(self, uri: str) -> None:
        self._store = SqlAlchemyStore(uri, "gs://artifacts")
        indexes.make(self._store.engine)
        self._runs: list[str] = []

    def size(self) -> int:
        """Returns the bytes of all tables with their indexes."""
        engine = self._store.engine
        with engine.connect() as connection:
            if engine.dialect.name == "mysql":
                names = connection.execute(text("SHOW TABLES")).scalars().all()
                connection.execute(text(f"ANALYZE TABLE {', '.join(names)}"))
            return int(connection.execute(text(SIZE[engine.dialect.name])).scalar_one())

    def runs(self) -> int:
        """Writes runs as a client begins and ends them; a name is a tag of each."""
        for number in range(RUNS):
            run = self._store.create_run(EXPERIMENT, "ada@example.com", START_MS + number, [], f"bright-fox-{number}")
            self._store.update_run_info(run.info.run_id, RunStatus.FINISHED, START_MS + number + 60_000, None)
            self._runs.append(run.info.run_id)
        return RUNS

    def params(self) -> int:
        """Writes parameters such as `param-07: 0.00123`."""
        return self._log(lambda run: {"params": [Param(f"param-{key:02}", f"0.00{run}") for key in range(KEYS)]})

    def tags(self) -> int:
        """Writes tags such as `mlflow.source-07: train.py`."""
        return self._log(
            lambda run: {"tags": [RunTag(f"mlflow.source-{key:02}", f"train-{run}.py") for key in range(KEYS)]}
        )

    def metrics(self) -> int:
        """Writes the first value of each metric, which is also its latest value."""
        return self._log(lambda run: {"metrics": [_metric(key, run, 0) for key in range(KEYS)]})

    def values(self) -> int:
        """Writes further values of metrics that are there."""
        return self._log(lambda run: {"metrics": [_metric(0, run, step) for step in range(1, VALUES + 1)]})

    def traces(self) -> int:
        """Writes traces without spans."""
        for number in range(TRACES):
            self._store.start_trace(
                TraceInfo(
                    trace_id=_trace_id(number),
                    trace_location=TraceLocation.from_experiment_id(EXPERIMENT),
                    request_time=START_MS + number,
                    state=TraceState.OK,
                    request_preview=CONTENT[:100],
                    response_preview=CONTENT[:100],
                    execution_duration=1_000,
                    tags={"mlflow.traceName": "answer"},
                )
            )
        return TRACES

    def spans(self) -> int:
        """Writes the spans of those traces, each with 1 kB of inputs and outputs."""
        for number in range(TRACES):
            self._store.log_spans(EXPERIMENT, [_span(number, index) for index in range(SPANS)])
        return TRACES * SPANS

    def _log(self, batch: Callable[[int], dict[str, list[object]]]) -> int:
        counts = 0
        for number, run in enumerate(self._runs):
            logged = batch(number)
            self._store.log_batch(run, **{"metrics": [], "params": [], "tags": [], **logged})
            counts += sum(map(len, logged.values()))
        return counts

    def measure(self) -> Iterator[tuple[str, float]]:
        """Returns the bytes of a row of each kind, in turn."""
        for write in (self.runs, self.params, self.tags, self.metrics, self.values, self.traces, self.spans):
            before = self.size()
            count = write()
            yield write.__name__, (self.size() - before) / count


def _metric(key: int, run: int, step: int) -> Metric:
    return Metric(f"metric-{key:02}", run + step / 7, START_MS + 1_000 * step, step)


def _trace_id(number: int) -> str:
    return f"tr-{uuid.uuid5(uuid.NAMESPACE_OID, str(number)).hex}"


def _span(number: int, index: int) -> Span:
    trace = _trace_id(number)
    context = SpanContext(int(trace.removeprefix("tr-"), 16), index + 1, is_remote=False, trace_flags=TraceFlags(1))
    parent = SpanContext(context.trace_id, 1, is_remote=False) if index else None
    attributes = {
        "mlflow.traceRequestId": json.dumps(trace),
        "mlflow.spanType": json.dumps("TOOL"),
        "mlflow.spanInputs": json.dumps(CONTENT[:500]),
        "mlflow.spanOutputs": json.dumps(CONTENT[500:]),
    }
    began = 1_000_000 * (START_MS + number)
    span = ReadableSpan(
        name=f"step-{index}",
        context=context,
        parent=parent,
        attributes=attributes,
        start_time=began,
        end_time=began + 1_000_000_000,
    )
    return create_mlflow_span(span, trace)


def main() -> None:
    """Prints the bytes by kind."""
    uri = os.environ["BACKEND_STORE_URI"]
    if uri.startswith("mysql"):
        mysql_login.install()
    sys.stdout.write(json.dumps(dict(Rows(uri).measure())) + "\n")


if __name__ == "__main__":
    main()
