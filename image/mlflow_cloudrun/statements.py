"""Statements that MLflow sends past its objects: they write and delete no tag that names who made a thing.

For many rows at once, MLflow writes and deletes by a statement, which authors.py does not see.
https://docs.sqlalchemy.org/en/21/orm/session_events.html#execute-events
"""

# MLflow's mapped classes have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Any

from mlflow.utils.mlflow_tags import MLFLOW_USER
from sqlalchemy import Table, event, inspect, select
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.sql import Delete, Insert, Update

from mlflow_cloudrun.authors import KINDS, TAGS, UPDATER, is_ours, refusal
from mlflow_cloudrun.identity import asked

CLASSES: dict[Table, type] = {inspect(kind).local_table: kind for kind in (*KINDS, *TAGS)}  # pyright: ignore[reportAssignmentType]


def bound(state: ORMExecuteState) -> dict[str, Any]:
    """Returns what is bound to a statement, by its parameter's name: the column's, and a number."""
    return dict(state.statement.compile(dialect=state.session.get_bind().dialect).params)  # pyright: ignore[reportAttributeAccessIssue]


def on_statement(state: ORMExecuteState) -> None:
    """Looks at one statement, for `sqlalchemy.event` "do_orm_execute".

    Raises:
        MlflowException: It would write or delete the tag.
    """
    statement = state.statement
    if not isinstance(statement, Insert | Update | Delete):
        return
    kind = CLASSES.get(statement.table)  # pyright: ignore[reportArgumentType]
    if kind in TAGS:
        of_tags(state, kind)
    elif kind and isinstance(statement, Update) and UPDATER in KINDS[kind]:
        state.statement = statement.values({UPDATER: asked.get().by})
    elif kind and isinstance(statement, Delete):
        for value in bound(state).values():
            asked.get().name(*(value if isinstance(value, list | tuple) else [value]))


def of_tags(state: ORMExecuteState, kind: type) -> None:
    """Looks at a statement that is about tags.

    A deletion leaves the tag out by what the database holds equal; to MySQL, that is more than what is_ours knows.

    Raises:
        MlflowException: It names the tag.
    """
    column, values = TAGS[kind].key, bound(state)
    keys = [value for name, value in values.items() if name.startswith(column)]
    if any(is_ours(key) for key in keys):
        raise refusal()
    stored = getattr(kind, column)
    if keys and isinstance(state.statement, Delete):
        state.statement = state.statement.where(stored != MLFLOW_USER)
    odd = [key for key in keys if not (str(key).isascii() and str(key).isprintable())]
    if odd and isinstance(state.statement, Insert):
        first = inspect(kind).primary_key[0]
        things = [value for name, value in values.items() if name.startswith(first.key)]
        query = select(stored).where(first.in_(things), stored.in_(odd), stored == MLFLOW_USER)
        if state.session.execute(query).first():
            raise refusal()


def install() -> None:
    """Holds every session of this process to it."""
    event.listen(Session, "do_orm_execute", on_statement)
