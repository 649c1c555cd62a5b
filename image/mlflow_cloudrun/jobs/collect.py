"""`gc`: removes for good what was deleted long enough ago, one thing at a time, with its files.

MLflow's own `gc` stops at the first run whose files it may not delete, and takes runs whose files a registered model
still needs. Here each run, model and experiment has a transaction of its own, in which its row is locked: nobody can
restore it meanwhile. Its files go first, then its rows, so that a job that is killed leaves nothing that nobody finds.
"""

# MLflow and SQLAlchemy's tables have few types; what deletes and archives is MLflow's own.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false

import argparse
import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from mlflow.entities.entity_type import EntityAssociationType
from mlflow.entities.lifecycle_stage import LifecycleStage
from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.tracking.dbmodels.models import (
    SqlEntityAssociation,
    SqlExperiment,
    SqlInput,
    SqlInputTag,
    SqlLoggedModel,
    SqlRun,
    SqlTraceInfo,
)
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, lazyload

from mlflow_cloudrun import archived
from mlflow_cloudrun.jobs.connection import Database
from mlflow_cloudrun.jobs.objects import Objects
from mlflow_cloudrun.jobs.report import LeftError, Report

TRACES_AT_A_TIME = 200
TRACE_ID = re.compile(r"(tr-)?[0-9a-f]{32}")
Work: TypeAlias = Callable[[Session], int | None]


class Ends(NamedTuple):
    """How one end of a link is named in the tables of links."""

    entity: str
    sources: tuple[str, ...]
    destinations: tuple[str, ...]


RUN_ENDS = Ends(EntityAssociationType.RUN, ("RUN_INPUT", "RUN_OUTPUT"), ("RUN",))
MODEL_ENDS = Ends(EntityAssociationType.MODEL, (), ("MODEL_INPUT", "MODEL_OUTPUT"))
TRACE_ENDS = Ends(EntityAssociationType.TRACE, (), ())


class Deleter(SqlAlchemyStore):
    """MLflow's own deletions, in a transaction of ours."""

    def __init__(self, session: Session) -> None:  # pyright: ignore[reportMissingSuperCall]  opens an engine and migrates
        self.db_type = session.get_bind().dialect.name
        self._session = session
        self.ManagedSessionMaker = self._ours
        archived.install()

    def _ours(self, **_: object) -> AbstractContextManager[Session]:
        return nullcontext(self._session)


class Collection:
    """One run of the job.

    Args:
        database: The database.
        objects: The buckets.
        report: Where it says what it does.
        age_s: How long ago a thing must have been deleted.
    """

    def __init__(self, database: Database, objects: Objects, report: Report, age_s: int) -> None:
        self.database, self.objects, self.report = database, objects, report
        self.cutoff = int((time.time() - age_s) * 1000)

    def run(self) -> None:
        """Collects all there is."""
        for run in self.ids(SqlRun.run_uuid, self.old(SqlRun.lifecycle_stage, SqlRun.deleted_time)):
            self.one("runs", run, partial(self.collect_run, run, self.cutoff))
        old = self.old(SqlLoggedModel.lifecycle_stage, SqlLoggedModel.last_updated_timestamp_ms)
        for model in self.ids(SqlLoggedModel.model_id, old):
            self.one("logged_models", model, partial(self.collect_model, model))
        old = self.old(SqlExperiment.lifecycle_stage, SqlExperiment.last_update_time)
        for experiment in self.ids(SqlExperiment.experiment_id, old):
            self.collect_what_is_in(experiment)
            self.one("experiments", str(experiment), partial(self.collect_experiment, experiment))
        for experiment in self.ids(SqlExperiment.experiment_id):
            self.collect_files_of_traces(experiment)

    def ids(self, key: Any, *conditions: ColumnElement[bool]) -> Iterator[Any]:  # noqa: ANN401
        """Yields the ids of the rows of which the conditions hold."""
        for page in self.database.pages(select(key).where(*conditions), key):
            yield from (row[0] for row in page)

    def old(self, stage: Any, deleted: Any) -> ColumnElement[bool]:  # noqa: ANN401
        """Returns the condition of what was deleted long enough ago; what has no time was deleted by an MLflow 1."""
        return and_(stage == LifecycleStage.DELETED, or_(deleted.is_(None), deleted <= self.cutoff))

    def one(self, kind: str, name: str, work: Work) -> None:
        """Collects one thing; whatever goes wrong with it does not stop the rest."""
        try:
            files = self.database.in_turn(work)
        except (LeftError, SQLAlchemyError, MlflowException) as error:
            self.report.left(kind, name, error)
            return
        if files is not None:
            self.report.removed(kind, name)
            self.report.count("collected", "files", files)

    def collect_run(self, run: str, cutoff: float, session: Session) -> int | None:
        """Deletes a run's files and rows, unless it was restored meanwhile; returns how many files."""
        row = locked(session, SqlRun, SqlRun.run_uuid == run)
        if row is None or row.lifecycle_stage != LifecycleStage.DELETED or (row.deleted_time or 0) > cutoff:
            return None
        if self.is_used(session, "runs", run):
            return None
        files = self.objects.delete_below(row.artifact_uri, run) if row.artifact_uri else 0
        unlink(session, run, RUN_ENDS)
        Deleter(session)._hard_delete_run(run)  # noqa: SLF001
        return files

    def collect_model(self, model: str, session: Session) -> int | None:
        """Deletes a logged model's files and rows, unless it was restored meanwhile, or a registered one needs them."""
        row = locked(session, SqlLoggedModel, SqlLoggedModel.model_id == model)
        if row is None or row.lifecycle_stage != LifecycleStage.DELETED:
            return None
        if row.last_updated_timestamp_ms > self.cutoff:
            return None
        return self.delete_model(session, row)

    def delete_model(self, session: Session, row: SqlLoggedModel) -> int | None:
        """Deletes a logged model's files and rows, unless a registered one needs them; returns how many files."""
        model = str(row.model_id)
        if self.is_used(session, "logged_models", model):
            return None
        files = self.objects.delete_below(str(row.artifact_location), model)
        unlink(session, model, MODEL_ENDS)
        Deleter(session)._hard_delete_logged_model(model)  # noqa: SLF001
        return files

    def is_used(self, session: Session, kind: str, name: str) -> bool:
        """Returns whether a version of a registered model lies in the files of a run or a logged model."""
        version = SqlModelVersion
        lies_there = or_(
            *(place.contains(name, autoescape=True) for place in (version.source, version.storage_location))
        )
        query = select(version.name, version.version).where(version.current_stage != STAGE_DELETED_INTERNAL, lies_there)
        if found := session.execute(query.limit(1)).first():
            self.report.kept(kind, name, f"version {found[1]} of the registered model {found[0]!r} lies in its files")
        return found is not None

    def collect_what_is_in(self, experiment: int) -> None:
        """Collects what a deleted experiment holds, whenever that was deleted."""
        deleted = and_(SqlRun.experiment_id == experiment, SqlRun.lifecycle_stage == LifecycleStage.DELETED)
        for run in self.ids(SqlRun.run_uuid, deleted):
            self.one("runs", run, partial(self.collect_run, run, math.inf))
        for model in self.ids(SqlLoggedModel.model_id, SqlLoggedModel.experiment_id == experiment):
            self.one("logged_models", model, partial(self.collect_model_of, experiment, model))
        while self.one_page_of_traces(experiment):
            pass

    def collect_model_of(self, experiment: int, model: str, session: Session) -> int | None:
        """Deletes a logged model of a deleted experiment."""
        row = session.get(SqlLoggedModel, model)
        return self.delete_model(session, row) if row and self.deleted_experiment(session, experiment) else None

    def deleted_experiment(self, session: Session, experiment: int) -> SqlExperiment | None:
        """Returns an experiment, which nobody can restore until the transaction ends; None if somebody has."""
        row = locked(session, SqlExperiment, SqlExperiment.experiment_id == experiment)
        if row is None or row.lifecycle_stage != LifecycleStage.DELETED or (row.last_update_time or 0) > self.cutoff:
            return None
        return row

    def one_page_of_traces(self, experiment: int) -> bool:
        """Deletes the rows of some traces of a deleted experiment; returns whether there may be more of them."""

        def work(session: Session) -> list[str]:
            if not (row := self.deleted_experiment(session, experiment)):
                return []
            query = select(SqlTraceInfo.request_id).where(SqlTraceInfo.experiment_id == experiment)
            traces = list(session.scalars(query.limit(TRACES_AT_A_TIME)))
            if traces:
                self.objects.refuse_where_files_stay(str(row.artifact_location))
            for trace in traces:
                unlink(session, trace, TRACE_ENDS)
            gone = Deleter(session)._delete_traces(str(experiment), trace_ids=traces) if traces else 0  # noqa: SLF001
            return traces if gone else []

        try:
            traces = self.database.in_turn(work)
        except (LeftError, SQLAlchemyError, MlflowException) as error:
            self.report.left("traces", f"of experiment {experiment}", error)
            return False
        if traces:
            self.report.removed("traces", *traces)
        return bool(traces)

    def collect_experiment(self, experiment: int, session: Session) -> int | None:
        """Deletes a deleted experiment that holds nothing any more."""
        if not (row := self.deleted_experiment(session, experiment)):
            return None
        for kind, model in (("runs", SqlRun), ("logged models", SqlLoggedModel), ("traces", SqlTraceInfo)):
            held = session.scalar(select(func.count()).select_from(model).where(model.experiment_id == experiment))
            if held:
                self.report.kept("experiments", str(experiment), f"it still holds {held} {kind}")
                return None
        files = self.files_of_traces(session, row, math.inf)
        Deleter(session)._hard_delete_experiment(str(experiment))  # noqa: SLF001
        return files

    def collect_files_of_traces(self, experiment: int) -> None:
        """Deletes the old files of an experiment's traces that were deleted; the server leaves them."""

        def work(session: Session) -> int:
            row = session.get(SqlExperiment, experiment, options=[lazyload("*")])
            return self.files_of_traces(session, row, self.cutoff) if row else 0

        try:
            self.report.count("collected", "files", self.database.outside_turns(work))
        except (LeftError, SQLAlchemyError) as error:
            self.report.left("files", f"of the traces of experiment {experiment}", error)

    def files_of_traces(self, session: Session, experiment: SqlExperiment, cutoff: float) -> int:
        """Deletes the files of traces that are in no row; returns how many."""
        archive = f"{self.objects.served.served[0]}/{experiment.experiment_id}"
        deleted = 0
        for location in dict.fromkeys((str(experiment.artifact_location), archive)):
            if not self.objects.served.serves(location):
                continue
            for page in self.objects.folders(f"{location}/{SqlAlchemyStore.TRACE_FOLDER_NAME}"):
                traces = [name for name in page if TRACE_ID.fullmatch(name)]
                query = select(SqlTraceInfo.request_id).where(SqlTraceInfo.request_id.in_(traces))
                for trace in set(traces) - set(session.scalars(query)):
                    folder = f"{location}/{SqlAlchemyStore.TRACE_FOLDER_NAME}/{trace}"
                    deleted += self.objects.delete_below(folder, trace, before_ms=cutoff)
        return deleted


def locked(session: Session, model: Any, condition: ColumnElement[bool]) -> Any:  # noqa: ANN401
    """Returns a row that nobody else can change until the transaction ends."""
    return session.scalars(select(model).where(condition).with_for_update().options(lazyload("*"))).first()


def unlink(session: Session, name: str, ends: Ends) -> None:
    """Deletes what links other things with one that goes; MLflow leaves that."""
    inputs = or_(
        and_(SqlInput.source_type.in_(ends.sources), SqlInput.source_id == name),
        and_(SqlInput.destination_type.in_(ends.destinations), SqlInput.destination_id == name),
    )
    session.execute(delete(SqlInputTag).where(SqlInputTag.input_uuid.in_(select(SqlInput.input_uuid).where(inputs))))
    session.execute(delete(SqlInput).where(inputs))
    link = SqlEntityAssociation
    from_it = and_(link.source_type == ends.entity, link.source_id == name)
    to_it = and_(link.destination_type == ends.entity, link.destination_id == name)
    session.execute(delete(link).where(or_(from_it, to_it)))


def run(database: Database, objects: Objects, report: Report, options: argparse.Namespace) -> None:
    """Runs the job."""
    Collection(database, objects, report, options.older_than).run()
