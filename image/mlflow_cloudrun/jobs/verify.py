"""`verify`: whether schema, rows and files are what a deployment needs; for after a restore or a move. Changes nothing.

MLflow notes of no run which files it has. What must be there all the same: the files of logged models, of versions of
registered models, the models that a run's history names, and the archives of traces.
"""

# MLflow's tables and google-cloud-storage have few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from mlflow.entities.lifecycle_stage import LifecycleStage
from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
from mlflow.prompt.constants import _PROMPT_SOURCE_PLACEHOLDERS  # pyright: ignore[reportPrivateUsage]
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModel
from mlflow.store.tracking.dbmodels.models import (
    SqlExperiment,
    SqlLoggedModel,
    SqlMetric,
    SqlParam,
    SqlRun,
    SqlSpan,
    SqlTag,
    SqlTraceInfo,
    SqlTraceTag,
)
from mlflow.tracing.constant import TraceTagKey
from mlflow.tracing.otel.otel_archival import TRACE_ARCHIVAL_FILENAME
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_MODELS
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mlflow_cloudrun import schemas
from mlflow_cloudrun.jobs.connection import Database
from mlflow_cloudrun.jobs.objects import AT_A_TIME, Objects
from mlflow_cloudrun.jobs.report import EX_DATAERR, LeftError, Report
from mlflow_cloudrun.locations import OF_MLFLOW

COUNTED = {
    "experiments": SqlExperiment,
    "runs": SqlRun,
    "metrics": SqlMetric,
    "params": SqlParam,
    "tags": SqlTag,
    "registered_models": SqlRegisteredModel,
    "model_versions": SqlModelVersion,
    "logged_models": SqlLoggedModel,
    "traces": SqlTraceInfo,
    "spans": SqlSpan,
}
MODEL_FILE = "MLmodel"


class Expected(NamedTuple):
    """Files that must be there: those below a location, or the one at it."""

    kind: str
    name: str
    location: str


def counts(session: Session) -> dict[str, int]:
    """Returns how many of each kind the database has."""
    return {kind: session.scalar(select(func.count()).select_from(table)) or 0 for kind, table in COUNTED.items()}


def sampled(query: Any, key: Any, sample: int) -> Any:  # noqa: ANN401
    """Limits a query to some rows, the same ones each time, from anywhere in the table; 0 means all."""
    return query.order_by(func.md5(key)).limit(sample) if sample else query


def found(session: Session, query: Any) -> list[Any]:  # noqa: ANN401
    """Returns a query's rows."""
    return list(session.execute(query).all())


def expected(session: Session, sample: int) -> Iterator[Expected]:
    """Yields what must be in the bucket."""
    query: Any
    model = SqlLoggedModel
    query = select(model.model_id, model.artifact_location).where(model.lifecycle_stage == LifecycleStage.ACTIVE)
    for name, location in found(session, sampled(query, model.model_id, sample)):
        yield Expected("logged_models", name, location)
    version = SqlModelVersion
    query = select(version.name, version.version, version.source).where(version.current_stage != STAGE_DELETED_INTERNAL)
    for name, number, source in found(session, sampled(query, version.source, sample)):
        if source and source not in _PROMPT_SOURCE_PLACEHOLDERS and not OF_MLFLOW.fullmatch(source):
            yield Expected("model_versions", f"{name}/{number}", source)
    history: Any = select(SqlRun.run_uuid, SqlRun.artifact_uri, SqlTag.value).join(
        SqlTag, SqlTag.run_uuid == SqlRun.run_uuid
    )
    history = history.where(SqlTag.key == MLFLOW_LOGGED_MODELS, SqlRun.lifecycle_stage == LifecycleStage.ACTIVE)
    for run, location, logged in found(session, sampled(history, SqlRun.run_uuid, sample)):
        for entry in models_of(logged):
            yield Expected("runs", run, f"{location}/{entry}/{MODEL_FILE}")
    tag = SqlTraceTag
    query = select(tag.request_id, tag.value).where(tag.key == TraceTagKey.ARCHIVE_LOCATION)
    for name, location in found(session, sampled(query, tag.request_id, sample)):
        yield Expected("traces", name, f"{location}/{TRACE_ARCHIVAL_FILENAME}")


def models_of(history: str) -> list[str]:
    """Returns the paths of the models that a run's history names; MLflow cuts a long history."""
    try:
        entries = json.loads(history)
    except ValueError:
        return []
    # Those of MLflow 3 are logged models, and lie elsewhere.
    return [str(entry["artifact_path"]) for entry in entries if "artifact_path" in entry and "model_id" not in entry]


def run(database: Database, objects: Objects, report: Report, options: argparse.Namespace) -> None:
    """Runs the job."""
    check(database, objects, report, options.sample)


def check(database: Database, objects: Objects, report: Report, sample: int) -> None:
    """Counts rows, and looks for files."""
    for schema in schemas.needed():
        report.details[schema.what.replace(" ", "_")] = {
            "found": schema.revision(database.engine),
            "needed": schemas.known_revisions(schema)[0],
        }
    report.details["counts"] = database.outside_turns(counts)
    wanted = database.outside_turns(lambda session: list(expected(session, sample)))
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for one, problem in zip(wanted, pool.map(partial(problem_with, objects), wanted), strict=True):
            report.count("checked", one.kind)
            if problem:
                report.left(one.kind, one.name, problem, status=EX_DATAERR)


def problem_with(objects: Objects, one: Expected) -> LeftError | None:
    """Returns what is wrong with a location; None if something is there."""
    try:
        if objects.something_at(one.location):
            return None
    except LeftError as error:
        return error
    return LeftError("missing", f"nothing is at {one.location}")
