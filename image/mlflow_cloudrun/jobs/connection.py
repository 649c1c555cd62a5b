"""A job's one connection to the database, and the turns that it takes with migrations and with other jobs."""

import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import ColumnElement, Select, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from mlflow_cloudrun import database

logger = logging.getLogger(__name__)
T = TypeVar("T")

LOCK_TIMEOUT_S = 3600  # a migration of a large database
ROW_TIMEOUT_S = 60
# A restart of Cloud SQL takes about a minute: https://cloud.google.com/sql/docs/postgres/maintenance
PAUSES_S = (1, 2, 4, 8, 15, 30, 30, 30)
PAGE = 1000


class GoneError(Exception):
    """The database does not answer."""

    def __init__(self, cause: Exception) -> None:
        first = str(getattr(cause, "orig", cause)).strip().partition("\n")[0]
        super().__init__(
            f"the database does not answer ({first}). It is down, or this job's account does not have "
            "roles/cloudsql.client on the project, or to log in without a password roles/cloudsql.instanceUser"
        )


class Database:
    """The database, by one connection.

    Args:
        uri: SQLAlchemy's URI.
    """

    def __init__(self, uri: str) -> None:
        # Whatever runs inside a turn gets the very connection that holds the lock: there is no other.
        self.engine = sqlalchemy.create_engine(uri, pool_size=1, max_overflow=0, pool_pre_ping=True)
        event.listen(self.engine, "connect", bound_waits)

    def the_engine(self, _: str) -> sqlalchemy.Engine:
        """Stands in for MLflow's maker of engines."""
        return self.engine

    @contextmanager
    def turn(self) -> Generator[None]:
        """Holds the lock of migrations while the block runs: one thing of many, that others get their turn.

        Raises:
            mlflow_cloudrun.database.NewerSchemaError: Another image has migrated the schema meanwhile.
        """
        with self.engine.connect() as connection:
            database.take_lock(connection, LOCK_TIMEOUT_S)
        try:
            database.refuse_other_schema(self.engine)
            yield
        finally:
            with self.engine.connect() as connection:
                database.give_lock_back(connection)

    def patiently(self, work: Callable[[], T]) -> T:
        """Does something that may be done twice; again, when the database went away and came back.

        Raises:
            GoneError: It did not come back.
        """
        for pause in (*PAUSES_S, None):
            try:
                return work()
            except (OperationalError, InterfaceError) as error:
                if not gone(error):
                    raise
                if pause is None:
                    raise GoneError(error) from error
                logger.warning("The database does not answer; trying again in %s s", pause)
                time.sleep(pause)
        raise AssertionError

    def in_turn(self, work: Callable[[Session], T]) -> T:
        """Does something in a transaction of its own turn, patiently."""

        def once() -> T:
            with self.turn(), Session(self.engine) as session, session.begin():
                return work(session)

        return self.patiently(once)

    def outside_turns(self, work: Callable[[Session], T]) -> T:
        """Does something that changes no row, patiently."""

        def once() -> T:
            with Session(self.engine) as session:
                return work(session)

        return self.patiently(once)

    def pages(self, query: Select[Any], key: ColumnElement[Any]) -> Iterator[list[Any]]:
        """Yields the rows of a query page by page, in the order of a key that is its first column."""
        last: Any = None
        while True:
            page = query.order_by(key).limit(PAGE)
            rows = self.outside_turns(partial(rows_of, page if last is None else page.where(key > last)))
            if rows:
                yield rows
            if len(rows) < PAGE:
                return
            last = rows[-1][0]


def rows_of(query: Select[Any], session: Session) -> list[Any]:
    """Returns a query's rows."""
    return list(session.execute(query).all())


def gone(error: DBAPIError) -> bool:
    """Returns whether the connection is lost, or there was none, rather than a statement being wrong."""
    if error.connection_invalidated or error.statement is None:
        return True
    return isinstance(error, InterfaceError)


def bound_waits(connection: Any, _: object) -> None:  # noqa: ANN401  the driver's
    """Bounds how long a statement waits for a row that somebody else changes."""
    with connection.cursor() as cursor:
        if "psycopg2" in type(connection).__module__:
            cursor.execute(f"SET lock_timeout = '{ROW_TIMEOUT_S}s'")
        else:
            cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {ROW_TIMEOUT_S}")
    connection.commit()
