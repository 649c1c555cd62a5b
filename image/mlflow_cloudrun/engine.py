"""The one engine to the database, and a pool in which whoever holds a connection never waits for another.

MLflow makes an engine, with a pool, for each of its stores, and its calls nest: log-batch holds a connection while it
asks the pool for a second one (`log_batch` calls `_log_params`, `_log_metrics` and `_set_tags`, which open sessions of
their own). As many such calls at a time as the pool has connections all wait until the pool's timeout. Here all stores
share one engine. A thread waits for a place before its first connection, while it holds none; what it asks for after
that it gets at once. Nobody waits for a connection of somebody who waits, on whatever thread the work runs.
"""

import os
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import sqlalchemy
from mlflow.store.db import utils
from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from mlflow_cloudrun import cursors, errors, pages, reads, run_pages, searches

# tests/image/test_parallel.py calls every route and sees that none nests deeper.
CONNECTIONS_PER_PLACE = 2
# Rarely long: no more requests run at a time than twice the places (admission.py), and statements end.
PLACE_TIMEOUT_S = 20


def connections() -> int:
    """Returns how many connections to the database this process may open at a time."""
    # https://docs.sqlalchemy.org/en/21/core/pooling.html: 5 and 10 unless they are set
    return int(os.environ.get("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE") or 5) + int(
        os.environ.get("MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW") or 10
    )


def places() -> int:
    """Returns how many threads may hold connections at a time."""
    return max(1, connections() // CONNECTIONS_PER_PLACE)


@dataclass(eq=False)
class Holder:
    """A thread, and how many connections it holds."""

    connections: int = 0


class Places:
    """Bounds how many threads hold connections at a time."""

    def __init__(self, number: int) -> None:
        self._free = threading.Semaphore(number)
        self._thread = threading.local()
        self._lock = threading.RLock()  # reentrant: a forgotten connection comes back from the garbage collector

    def take(self) -> Holder:
        """Counts one more connection for this thread; waits for a place if it is the first.

        Raises:
            mlflow.exceptions.MlflowException: No place came free in time.
        """
        holder: Holder | None = getattr(self._thread, "holder", None)
        if holder is None or not holder.connections:
            if not self._free.acquire(timeout=PLACE_TIMEOUT_S):
                raise errors.busy()
            holder = self._thread.holder = Holder()
        with self._lock:
            holder.connections += 1
        return holder

    def give_back(self, holder: Holder) -> None:
        """Counts one less, on whatever thread; with the last one the place is free."""
        with self._lock:
            holder.connections -= 1
            if not holder.connections:
                self._free.release()


class PlacesPool(QueuePool):
    """Gives connections to those who have a place."""

    places = Places(places())
    holders: ClassVar[dict[ConnectionPoolEntry, Holder]] = {}

    def _do_get(self) -> ConnectionPoolEntry:
        holder = self.places.take()
        try:
            entry = super()._do_get()
        except BaseException:
            self.places.give_back(holder)
            raise
        self.holders[entry] = holder
        return entry

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        holder = self.holders.pop(record)
        try:
            super()._do_return_conn(record)
        finally:
            self.places.give_back(holder)


@cache
def create(uri: str) -> Engine:
    """Returns the engine of a database; stands in for `mlflow.store.db.utils.create_sqlalchemy_engine`."""
    engine = sqlalchemy.create_engine(
        uri,
        poolclass=PlacesPool,
        pool_size=connections(),  # all of them stay open: to open one takes longer than most calls do
        max_overflow=-1,  # the places are the bound
        pool_recycle=int(os.environ.get("MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE") or -1),
        pool_pre_ping=True,
        connect_args=searches.connect_arguments(uri) | cursors.connect_arguments(uri),
        json_deserializer=None if uri.startswith("mysql") else reads.weighed_json,
    )
    event.listen(engine, "handle_error", errors.translate)
    event.listen(engine, "before_cursor_execute", searches.refuse_costly)
    event.listen(engine, "before_cursor_execute", cursors.note_width)
    return engine


def install() -> None:
    """Gives every store that MLflow opens from here on the one engine."""
    utils.create_sqlalchemy_engine = create
    sessions: Any = utils
    sessions._get_managed_session_maker = errors.reading_values(sessions._get_managed_session_maker)  # noqa: SLF001
    searches.install()
    pages.install()
    run_pages.install()
