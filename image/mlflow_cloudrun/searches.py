"""Bounds what one search may cost the database: its joins, its time and its memory.

MLflow joins a table for each condition and each sort key of a search. PostgreSQL's memory for planning such a statement
grows with the cube of their number: 50 conditions took 2.9 GiB in one backend, which is the end of a small instance.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from sqlalchemy import Connection, Select
from sqlalchemy.orm import Query

from mlflow_cloudrun import run_pages

MOST_JOINS = 30
STATEMENT_TIMEOUT_S = 30
LOCK_TIMEOUT_S = 15
IDLE_TIMEOUT_S = 60
CONNECT_TIMEOUT_S = 10

# https://www.postgresql.org/docs/current/runtime-config-client.html and -query.html, -resource.html
POSTGRES = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
    "lock_timeout": f"{LOCK_TIMEOUT_S}s",
    "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT_S}s",
    # Up to four tables are joined in the best order, more as MLflow lists them: a tenth of the planner's memory.
    "join_collapse_limit": "4",
    # Each join may hold a hash table of work_mem times this, in each worker.
    "hash_mem_multiplier": "1",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    # All rows of a cursor are fetched (cursors.py); by default the planner expects a tenth.
    "cursor_tuple_fraction": "1",
}
# https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html; the comments are read by one of the two alone:
# https://mariadb.com/docs/server/reference/sql-structure/comments
MYSQL = (
    f"SET innodb_lock_wait_timeout = {LOCK_TIMEOUT_S}, optimizer_search_depth = 4"
    f" /*!50708 , max_execution_time = {STATEMENT_TIMEOUT_S * 1000} */"
    f" /*M!100100 , max_statement_time = {STATEMENT_TIMEOUT_S} */"
)


def connect_arguments(uri: str) -> dict[str, object]:
    """Returns what the driver sets in every session with the database."""
    bounds: dict[str, object] = (
        {"init_command": MYSQL}
        if uri.startswith("mysql")
        else {"options": " ".join(f"-c {name}={value}" for name, value in POSTGRES.items())}
    )
    return {"connect_timeout": CONNECT_TIMEOUT_S, **bounds}


def too_costly() -> MlflowException:
    """Returns what to raise for a search of too many joins."""
    return MlflowException(
        f"This search takes more than {MOST_JOINS} joins of tables: each condition and each sort key on a metric, "
        "parameter, tag or the like is one or more. Use fewer of them, or search in several steps.",
        error_code=INVALID_PARAMETER_VALUE,
    )


def refuse_costly(_: Connection, __: object, statement: str, *___: object) -> None:
    """Refuses a statement of too many joins, for `sqlalchemy.event` "before_cursor_execute".

    Raises:
        MlflowException: It says how many may be.
    """
    if statement.startswith(("SELECT", "WITH")):
        joins = sum(statement.count(word) for word in (" JOIN ", "EXISTS (", " IN (SELECT"))
        joins -= sum(statement.count(f") AS {name} ON ") for name in run_pages.JOINED)
        if joins > MOST_JOINS:
            raise too_costly()


def bounded_join(join: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps the method that adds a join to a statement: SQLAlchemy takes a minute to put 400 of them together."""

    @wraps(join)
    def checked(statement: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        if len(statement._setup_joins) >= MOST_JOINS:  # noqa: SLF001
            raise too_costly()
        return join(statement, *arguments, **options)

    return checked


def install() -> None:
    """Puts the bound in its place."""
    Select.join = bounded_join(Select.join)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    Query.join = bounded_join(Query.join)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
