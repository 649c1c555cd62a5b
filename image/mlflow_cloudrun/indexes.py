"""Indexes beside MLflow's: what a search follows instead of sorting all runs or traces of an experiment (run_pages.py).

They are made while the service runs, by one instance at a time, on a connection of its pool, in statements that stop
no other; no start waits for one. What is there is in the database's own catalogue, and nowhere else. MLflow's
migrations do not meet them: before one that names the table they are dropped, and made again after it. Those of another
version of the image have other names, and are left alone.
"""

import logging
import re
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow.exceptions import MlflowException
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

logger = logging.getLogger(__name__)

PREFIX = "cloudrun_"


@dataclass(frozen=True, slots=True)
class Index:
    """An index.

    Attributes:
        name: Begins with PREFIX; it changes with the columns.
        table: Of MLflow's.
        columns: In SQL, by the dialect; there is none in others. All that a page is found by is in the index: the table
            is not read. The first refers to another table only where MLflow also has an index of that: MySQL would
            drop the one that it has made itself, and not let this one go any more.
            https://dev.mysql.com/doc/refman/8.4/en/create-table-foreign-keys.html
    """

    name: str
    table: str
    columns: dict[str, str]


ALL = (
    Index(
        f"{PREFIX}runs_by_start",
        "runs",
        {
            "postgresql": "lifecycle_stage, experiment_id, start_time DESC NULLS LAST, run_uuid",
            "mysql": "lifecycle_stage, experiment_id, start_time DESC, run_uuid",
        },
    ),
    # PostgreSQL follows MLflow's own, and sorts within each millisecond.
    Index(f"{PREFIX}traces_by_time", "trace_info", {"mysql": "experiment_id, timestamp_ms DESC, request_id"}),
)


def wanted(dialect: str) -> list[Index]:
    """Returns the indexes of a dialect."""
    return [index for index in ALL if dialect in index.columns]


# Of its own: whoever waits for the lock of migrations would be waited for by CREATE INDEX CONCURRENTLY.
LOCK_NUMBER = 653_570
LOCK_NAME = "mlflow-indexes"
TAKE = {
    "postgresql": text("SELECT pg_try_advisory_lock(:lock)").bindparams(lock=LOCK_NUMBER),
    "mysql": text("SELECT GET_LOCK(:lock, 0)").bindparams(lock=LOCK_NAME),
}
# A killed CREATE INDEX CONCURRENTLY leaves an index that is written and not read:
# https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
FOUND = {
    "postgresql": "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " WHERE relnamespace = current_schema()::regnamespace",
    "mysql": "SELECT DISTINCT index_name, 1 FROM information_schema.statistics WHERE table_schema = DATABASE()",
}
CREATE = {
    "postgresql": "CREATE INDEX CONCURRENTLY {name} ON {table} ({columns})",
    # https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html
    "mysql": "CREATE INDEX {name} ON {table} ({columns}) ALGORITHM=INPLACE LOCK=NONE",
}
DROP = {"postgresql": "DROP INDEX {concurrently} IF EXISTS {name}", "mysql": "DROP INDEX {name} ON {table}"}
# As long as it takes, on one CPU of the database. Whoever asks for the table while MySQL waits for it waits too; what
# PostgreSQL waits for are transactions, and of those one that waits for a migration may never end.
PATIENT = {
    "postgresql": ("SET statement_timeout = 0", "SET lock_timeout = '15s'", "SET max_parallel_maintenance_workers = 0"),
    "mysql": ("SET lock_wait_timeout = 5 /*M!100100 , max_statement_time = 0 */",),
}
PAUSES_S = (60, 120, 300, 600, 1200, 3600)
DROP_PATIENCE_S = 60


@contextmanager
def locked(engine: Engine) -> Generator[Connection | None]:
    """Holds the lock, which goes with the connection; None if somebody else does. Each statement is done at once."""
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        taken = connection.scalar(TAKE[engine.dialect.name])
        try:
            yield connection if taken else None
        finally:
            connection.invalidate()


def there(connection: Connection) -> dict[str, bool]:
    """Returns the names of all indexes there are, and whether each can be read."""
    return {name: bool(valid) for name, valid in connection.execute(text(FOUND[connection.dialect.name])).all()}


def missing(engine: Engine) -> list[Index]:
    """Returns those that are not there, or not whole."""
    with engine.connect() as connection:
        found = there(connection)
    return [index for index in wanted(engine.dialect.name) if not found.get(index.name)]


def make(engine: Engine) -> bool:
    """Makes what is missing; returns whether all are there then, and not if somebody else makes them now."""
    if not missing(engine):
        return True
    dialect = engine.dialect.name
    with locked(engine) as connection:
        if connection is None:
            return False
        for statement in PATIENT[dialect]:
            connection.execute(text(statement))
        for index in wanted(dialect):
            found = there(connection)
            if found.get(index.name):
                continue
            if index.name in found:
                drop_one(connection, index, concurrently="CONCURRENTLY")
            began = time.monotonic()
            columns = index.columns[dialect]
            connection.execute(text(CREATE[dialect].format(name=index.name, table=index.table, columns=columns)))
            logger.info("Made the index %s in %.1f s", index.name, time.monotonic() - began)
    return True


def drop_one(connection: Connection, index: Index, concurrently: str = "") -> None:
    """Drops an index that is there."""
    statement = DROP[connection.dialect.name]
    connection.execute(text(statement.format(name=index.name, table=index.table, concurrently=concurrently)))


def drop(engine: Engine, revisions: Iterable[Path]) -> bool:
    """Drops those of the tables that revisions name; returns whether nobody has been making one all the time.

    Args:
        engine: The database; this process holds its lock of migrations.
        revisions: The files of those that are to be made.
    """
    sources = "\n".join(path.read_text(encoding="utf-8") for path in revisions)
    in_the_way = [
        index for index in wanted(engine.dialect.name) if re.search(rf"""["']{re.escape(index.table)}["']""", sources)
    ]
    deadline = time.monotonic() + DROP_PATIENCE_S
    while in_the_way:
        with locked(engine) as connection:
            if connection is not None:
                found = there(connection)
                for index in in_the_way:
                    if index.name in found:
                        drop_one(connection, index)
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
    return True


def try_to_make(engine: Engine) -> bool:
    """Makes what is missing; returns whether all are there then. Without them a search is slow, and right."""
    try:
        return make(engine)
    except (SQLAlchemyError, MlflowException) as error:  # the latter from the service's engine (errors.py)
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        logger.warning("An index could not be made, and searches are slower until it is: %s", reason)
        return False


def keep(engine: Engine) -> None:
    """Makes what is missing on a thread of its own, patiently."""
    threading.Thread(target=keep_trying, args=(engine,), name="indexes", daemon=True).start()


def keep_trying(engine: Engine) -> None:
    """Tries until all are there."""
    for pause in PAUSES_S:
        if try_to_make(engine):
            return
        time.sleep(pause)
