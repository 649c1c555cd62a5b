"""Traces whose spans were archived in the bucket: the server, which only reads there, deletes their rows alone."""

from typing import Any

from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore


def leave_files(_: object, traces: list[Any]) -> list[str]:
    """Stands in for MLflow's deletion of the files, which keeps the rows where that fails; `gc` deletes the files."""
    return [trace.trace_id for trace in traces]


def install() -> None:
    """Makes MLflow's store delete the rows of archived traces."""
    store: Any = SqlAlchemyStore
    store._delete_archived_trace_payloads = leave_files  # noqa: SLF001
