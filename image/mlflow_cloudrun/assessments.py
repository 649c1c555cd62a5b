"""An assessment of a trace carries who made it: a person's as its source, a program's in its metadata."""

# MLflow's mapped classes have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
from typing import Any

from mlflow.store.tracking.dbmodels.models import SqlAssessments
from mlflow.utils.mlflow_tags import MLFLOW_USER
from sqlalchemy import event, inspect, select
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.sql import Update

from mlflow_cloudrun.authors import CLAIM, refusal
from mlflow_cloudrun.identity import asked
from mlflow_cloudrun.statements import bound

PERSON = "HUMAN"  # the rest are judges and code, whose names stay: mlflow.entities.AssessmentSourceType
METADATA = "assessment_metadata"
SOURCE = ("source_type", "source_id")  # MLflow's own updates leave them


def metadata_of(text: str | None) -> dict[str, Any]:
    """Returns an assessment's metadata as they are stored."""
    return json.loads(text) if text else {}


def before_flush(session: Session, *_: object) -> None:
    """Writes who asks on new assessments; what is there keeps who made it."""
    for row in session.new:
        if isinstance(row, SqlAssessments):
            sign(row, asked.get().by)
            asked.get().name(row.assessment_id)
    for row in session.dirty:
        if isinstance(row, SqlAssessments) and session.is_modified(row):
            keep(row)


def sign(row: Any, by: str) -> None:  # noqa: ANN401
    """Writes on a new assessment who made it, and what the client claimed."""
    metadata = metadata_of(row.assessment_metadata)
    claim = metadata.get(MLFLOW_USER)
    if str(row.source_type).upper() == PERSON:
        claim = row.source_id
        row.source_id = by
    if claim and claim != by:
        metadata.setdefault(CLAIM, claim)
    row.assessment_metadata = json.dumps({**metadata, MLFLOW_USER: by})


def keep(row: Any) -> None:  # noqa: ANN401
    """Undoes what a trace that is sent again says about who made an assessment of it."""
    for column in SOURCE:
        if old := inspect(row).attrs[column].history.deleted:
            setattr(row, column, old[0])
    if old := inspect(row).attrs[METADATA].history.deleted:
        stored, metadata = metadata_of(old[0]), metadata_of(row.assessment_metadata)
        for name in (MLFLOW_USER, CLAIM):
            metadata.pop(name, None)
            if name in stored:
                metadata[name] = stored[name]
        row.assessment_metadata = json.dumps(metadata)


def on_statement(state: ORMExecuteState) -> None:
    """Looks at what updates an assessment past the objects.

    Raises:
        MlflowException: It names another person than is stored.
    """
    statement = state.statement
    if not isinstance(statement, Update) or statement.table.description != SqlAssessments.__tablename__:
        return
    values = bound(state)
    if METADATA not in values or statement.whereclause is None:
        return
    told = metadata_of(values[METADATA]).get(MLFLOW_USER)
    for stored in state.session.scalars(select(SqlAssessments.assessment_metadata).where(statement.whereclause)):
        if metadata_of(stored).get(MLFLOW_USER) != told:
            raise refusal()


def install() -> None:
    """Holds every session of this process to it."""
    event.listen(Session, "before_flush", before_flush)
    event.listen(Session, "do_orm_execute", on_statement)
