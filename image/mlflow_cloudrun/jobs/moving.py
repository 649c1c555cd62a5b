"""`import`: moves what another MLflow holds into an empty deployment, and counts it before and after.

The tables are built as the source's MLflow knew them, filled, and then migrated by this image's MLflow. The files are
copied before, by Google's own tools, and the locations in the database are put right. A kill leaves a mark in the
database: no server starts on half of it, and the next import begins again.
"""

# SQLAlchemy's reflected tables have few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false

import argparse
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alembic import command
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from sqlalchemy import Boolean, Connection, Engine, MetaData, Table, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mlflow_cloudrun import database as schema
from mlflow_cloudrun import migration, roots, schemas
from mlflow_cloudrun.jobs import sources, verify
from mlflow_cloudrun.jobs.connection import LOCK_TIMEOUT_S, PAGE, Database
from mlflow_cloudrun.jobs.objects import Objects
from mlflow_cloudrun.jobs.report import EX_DATAERR, LeftError, Report
from mlflow_cloudrun.schemas import STORES

LARGEST_ID = 2**31 - 1  # of an experiment, in MLflow's tables; folders of MLflow 2 have longer ones
LOCAL = re.compile(r"(file:/{0,2})?(\.?/|[A-Za-z]:[\\/]).*")
COUNTED = (
    *("experiments", "runs", "metrics", "latest_metrics", "params", "tags", "registered_models", "model_versions"),
    *("logged_models", "trace_info", "spans", "datasets", "inputs"),
)


def run(_: Database, objects: Objects, report: Report, options: argparse.Namespace) -> None:
    """Runs the job."""
    target = schema.connected(options.uri)
    try:
        with TemporaryDirectory() as folder:
            source, name = sources.opened(options.source, objects, Path(folder))
            move(Move(source, target, report), objects, options, name)
    except LeftError as error:
        report.left("sources", options.source or sources.STORE, error, status=EX_DATAERR)
    finally:
        target.dispose()


class Move:
    """One import.

    Args:
        source: The database to read.
        target: The deployment's.
        report: Where it says what it does.
    """

    def __init__(self, source: Engine, target: Engine, report: Report) -> None:
        self.source, self.target, self.report = source, target, report
        self.revision = sources.revision(source)
        if self.revision not in schemas.known_revisions(STORES):
            raise LeftError("changed", f"its schema is {self.revision}, which this image's MLflow does not know")
        self.experiments = self.new_ids()

    def new_ids(self) -> dict[int, int]:
        """Returns a short id for each experiment that has a longer one than the tables of a server can hold."""
        with self.source.connect() as connection:
            ids = [row[0] for row in connection.execute(text("SELECT experiment_id FROM experiments"))]
        largest = max((number for number in ids if number <= LARGEST_ID), default=0)
        return {long: largest + 1 + place for place, long in enumerate(sorted(i for i in ids if i > LARGEST_ID))}

    def refuse_filled(self) -> None:
        """Checks that nothing of anybody's is overwritten.

        Raises:
            LeftError: The deployment holds something.
        """
        if migration.half_moved(self.target):
            return
        found = {name: number for name, number in rows(self.target).items() if number}
        if found.pop("experiments", 0) > 1 or found:
            held = ", ".join(f"{number} {name}" for name, number in rows(self.target).items() if number)
            raise LeftError("changed", f"the deployment is not empty: it holds {held}. Import into a new one")

    def rebuild(self) -> None:
        """Makes the tables again, as the source's MLflow knew them."""
        with self.target.begin() as connection:
            migration.mark_half_moved(connection)
        old = MetaData()
        old.reflect(self.target)
        old.drop_all(self.target, [table for table in old.sorted_tables if table.name != migration.HALF_MOVED])
        InitialBase.metadata.create_all(self.target)
        config = utils._get_alembic_config(str(self.target.url))  # noqa: SLF001
        with self.target.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, str(self.revision))

    def copy(self) -> None:
        """Copies every row."""
        here, there = MetaData(), MetaData()
        here.reflect(self.source)
        there.reflect(self.target)
        with self.source.connect() as reading, self.target.connect() as writing:
            if self.target.dialect.name == "mysql":  # 0 is an experiment, and no wish for the next number
                writing.execute(text("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')"))
            for table in reversed(there.sorted_tables):  # what migrations put there
                if not table.name.startswith("alembic_"):
                    writing.execute(table.delete())
            for table in there.sorted_tables:
                if table.name in here.tables and not table.name.startswith("alembic_"):
                    self.copy_table(reading, writing, here.tables[table.name], table)
            if self.target.dialect.name == "postgresql":
                count_on(writing, there)
            writing.commit()

    def copy_table(self, reading: Connection, writing: Connection, source: Table, target: Table) -> None:
        """Copies a table's rows, page by page; tells of each that the target does not take."""
        names = [column.name for column in source.columns if column.name in target.columns]
        names = [name for name in names if target.columns[name].computed is None]
        adapt = [(name, self.adapter(target, name)) for name in names]
        for page in pages(reading, select(*(source.columns[name] for name in names))):
            records = [{name: change(row[place]) for place, (name, change) in enumerate(adapt)} for row in page]
            try:
                with writing.begin_nested():
                    writing.execute(target.insert(), records)
            except SQLAlchemyError:
                self.one_by_one(writing, target, records)

    def one_by_one(self, writing: Connection, target: Table, records: list[dict[str, Any]]) -> None:
        """Writes the rows of a page of which some are not taken."""
        for record in records:
            try:
                with writing.begin_nested():
                    writing.execute(target.insert(), [record])
            except SQLAlchemyError as error:
                key = ", ".join(str(record[column.name]) for column in target.primary_key if column.name in record)
                reason = str(getattr(error, "orig", error)).partition("\n")[0]
                self.report.left(target.name, key, LeftError("error", reason), status=EX_DATAERR)

    def adapter(self, target: Table, name: str) -> Callable[[Any], Any]:
        """Returns what makes a value of the source one of the target."""
        if name == "experiment_id":
            return lambda value: self.experiments.get(value, value)
        if isinstance(target.columns[name].type, Boolean):
            return lambda value: None if value is None else bool(value)
        return lambda value: value.replace("\0", "") if isinstance(value, str) else value


def pages(connection: Connection, query: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yields a query's rows in pages, without holding all of them."""
    yield from connection.execution_options(yield_per=PAGE).execute(query).partitions()


def rows(engine: Engine) -> dict[str, int]:
    """Returns how many rows there are, by table; of those that the database has."""
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return {
            name: connection.scalar(select(func.count()).select_from(tables.tables[name])) or 0
            for name in COUNTED
            if name in tables.tables
        }


def count_on(connection: Connection, tables: MetaData) -> None:
    """Lets PostgreSQL's sequences go on after the largest number that was written."""
    for table in tables.sorted_tables:
        for column in table.primary_key:
            sequence = connection.scalar(
                text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
            )
            if sequence:
                largest = connection.scalar(select(func.max(column))) or 0
                connection.execute(text("SELECT setval(:name, :value)"), {"name": sequence, "value": largest + 1})


def locations(engine: Engine) -> Iterator[tuple[str, str]]:
    """Yields the location of each experiment and run, and its root: what comes before the parts that MLflow adds."""
    with engine.connect() as connection:
        for name, uri in connection.execute(text("SELECT experiment_id, artifact_location FROM experiments")):
            if uri:
                yield uri, roots.root_of(uri, str(name))
        for run, name, uri in connection.execute(text("SELECT run_uuid, experiment_id, artifact_uri FROM runs")):
            if uri:
                yield uri, roots.root_of(f"{roots.root_of(uri, run)}/", str(name)).rstrip("/")


def given_roots(engine: Engine, objects: Objects, options: argparse.Namespace) -> list[tuple[str, str]]:
    """Returns the roots to put right; that of a folder that lies in the bucket itself is known.

    Raises:
        LeftError: One is not known.
    """
    given = list(options.root)
    unknown = Counter(
        root for uri, root in locations(engine) if not objects.served.serves(uri) and not starts(uri, given)
    )
    here = [root for root in unknown if LOCAL.fullmatch(root)]
    if len(here) == 1 and str(options.source).startswith("gs://") and not str(options.source).endswith(".db"):
        given.append((here[0], str(options.source).rstrip("/")))
        del unknown[here[0]]
    if unknown:
        told = ", ".join(f"{root} ({number})" for root, number in unknown.items())
        raise LeftError(
            "foreign",
            f"artifacts are at {told}. Copy them into the bucket (gcloud storage cp --recursive), and say where they "
            f"are now: --root={next(iter(unknown))}={objects.served.served[0]}/FOLDER",
        )
    return given


def starts(uri: str, given: list[tuple[str, str]]) -> bool:
    """Returns whether a location is below a root that is given."""
    return any(f"{uri}/".startswith(f"{old.rstrip('/')}/") for old, _ in given)


def move(it: Move, objects: Objects, options: argparse.Namespace, name: str) -> None:
    """Moves everything, and counts it.

    Raises:
        LeftError: It cannot be moved; nothing was changed.
    """
    report = it.report
    new_roots = given_roots(it.source, objects, options)
    for _, new in new_roots:
        objects.place(new)
    with schema.locked(it.target, LOCK_TIMEOUT_S):
        it.refuse_filled()
        report.details |= {
            "from": name,
            "source_schema": it.revision,
            "source": rows(it.source),
            "before": rows(it.target),
        }
        it.rebuild()
        it.copy()
        migration.run(it.target, STORES, it.revision)
        with Session(it.target) as session, session.begin():
            for old, new in new_roots:
                for kind, number in roots.rewrite(session, old, new).items():
                    report.count("rewritten", kind, number)
            migration.unmark_half_moved(session.connection())
        schema.migrate(it.target, math.inf)  # that of permissions, which went with the other tables
    report.details["after"] = after = rows(it.target)
    for table, number in rows(it.source).items():
        if after[table] != number:
            problem = LeftError("missing", f"{number} rows in the source, {after[table]} here")
            report.left("tables", table, problem, status=EX_DATAERR)
    verify.check(Database(str(options.uri)), objects, report, options.sample)
