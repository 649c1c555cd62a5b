"""Finds the runs of a page before it reads them: MLflow's search sorts whole rows of all runs of an experiment.

`SELECT DISTINCT runs.*, ... ORDER BY ... LIMIT 26` sorts every column of every run that matches, on disk if they are
many. The answer is the same if runs are sorted by what they are to be sorted by alone, and the rows are read of those
that are on the page. A search by the start of the runs is put in words that an index follows (indexes.py): it sorts
nothing. https://docs.sqlalchemy.org/en/21/orm/session_events.html#execute-events
"""

# MLflow's mapped classes have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlParam, SqlRun, SqlTag
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Result,
    Select,
    Table,
    UnaryExpression,
    case,
    event,
    join,
    select,
    union_all,
)
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.sql import operators, visitors

# A run has one row of each for a key, which MLflow's joins always name.
ONE_OF_A_KEY = {kind.__tablename__ for kind in (SqlLatestMetric, SqlParam, SqlTag)}
# Each experiment, and each stage of the life of its runs, is a walk of its own along the index.
MOST_WALKS = 10
# A search with conditions is tried on the first runs first: so many pages of them, or this many. A database that
# followed the index until the page is full might read all runs one by one, to find that there are none.
WINDOW_PAGES, WINDOW = 20, 1_000
JOINED = PAGE, FIRST = "page_of_runs", "first_of_runs"
"""What is joined here to the statement of a search, which its bound does not count."""

RUNS: Any = SqlRun.__table__
SCOPE = (RUNS.c.lifecycle_stage, RUNS.c.experiment_id)
"""Where each search looks. Whatever else it asks for is a condition more, or a join."""

START: ColumnElement[Any] = RUNS.c.start_time
MISSING_LAST = case((START.is_(None), 1), else_=0)
"""What MLflow sorts by first, so that runs without a value come last in both directions."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is sorted by.

    Attributes:
        what: The expression.
        order: Puts it in order.
    """

    what: ColumnElement[Any]
    order: Callable[[Any], Any]


def ascending(what: Any) -> Any:  # noqa: ANN401  SQLAlchemy's
    """Returns the least first; the database decides where what is missing comes."""
    return what.asc()


def descending(what: Any) -> Any:  # noqa: ANN401
    """Returns the greatest first."""
    return what.desc()


def descending_missing_last(what: Any) -> Any:  # noqa: ANN401
    """Returns the order of the index, on PostgreSQL."""
    return what.desc().nulls_last()


def ascending_missing_first(what: Any) -> Any:  # noqa: ANN401
    """Returns the order of the index read backwards, on PostgreSQL."""
    return what.asc().nulls_first()


def is_search(statement: object) -> bool:
    """Returns whether it is MLflow's search for runs, which alone asks for distinct runs of a page."""
    return (
        isinstance(statement, Select)
        and statement._distinct  # noqa: SLF001  SQLAlchemy has no other way to ask
        and statement._limit_clause is not None  # noqa: SLF001
        and statement.column_descriptions[0]["entity"] is SqlRun
    )


def sort_keys(search: Select[*tuple[Any, ...]]) -> list[Key]:
    """Returns what a search sorts by."""
    keys: list[Key] = []
    for clause in search._order_by_clauses:  # noqa: SLF001
        downwards = isinstance(clause, UnaryExpression) and clause.modifier is operators.desc_op
        what: Any = clause.element if isinstance(clause, UnaryExpression) else clause
        name = getattr(what, "element", None)
        if isinstance(name, str):  # of a column that MLflow also selects
            what = search.selected_columns[name].element
        keys.append(Key(what, descending if downwards else ascending))
    return keys


def may_multiply(search: Select[*tuple[Any, ...]]) -> bool:
    """Returns whether a join may find a run several times: it may have many inputs."""
    joined = (part for target, *_ in search._setup_joins for part in visitors.iterate(target))  # noqa: SLF001  # pyright: ignore[reportArgumentType]
    return any(isinstance(part, Table) and part.name not in ONE_OF_A_KEY for part in joined)


def scope(search: Select[*tuple[Any, ...]]) -> list[list[Any]]:
    """Returns the values of the columns in SCOPE that a search is about; none where it says so in other words."""
    found: dict[str, list[Any]] = {}
    for part in visitors.iterate(search.whereclause):  # pyright: ignore[reportArgumentType]
        condition: Any = part
        if getattr(condition, "operator", None) is operators.in_op and isinstance(condition.right, BindParameter):
            found.setdefault(getattr(condition.left, "name", ""), list(condition.right.effective_value or ()))
    return [found.get(column.name, []) for column in SCOPE]


def along_index(state: ORMExecuteState, search: Select[*tuple[Any, ...]], keys: list[Key]) -> list[Key] | None:
    """Returns the same order as the index by start has it; None where it has another.

    A search that names no order is by start and run, the page's first by whether there is a start. Where a start is
    missing comes last in the index. To MySQL, it is the least by itself; to PostgreSQL the greatest, and who asks for
    that must have no such run, as MLflow leaves none.
    """
    *first, start, run = keys
    if not (start.what.compare(START) and run.what.compare(RUNS.c.run_uuid)) or len(first) > 1:
        return None
    if (first and not first[0].what.compare(MISSING_LAST)) or not all(scope(search)):
        return None
    downwards = start.order is descending
    if state.session.get_bind().dialect.name == "mysql":
        return [start, run] if downwards else None
    if not (downwards and first):
        within = (column.in_(values) for column, values in zip(SCOPE, scope(search), strict=True))
        if state.session.execute(select(RUNS.c.run_uuid).where(*within, START.is_(None)).limit(1)).first():
            return None
    return [Key(START, descending_missing_last if downwards else ascending_missing_first), run]


def ordered(statement: Select[*tuple[Any, ...]], keys: list[Key], found: Any = None) -> Select[*tuple[Any, ...]]:  # noqa: ANN401
    """Returns a statement in order: of the keys, or of the columns that are named after them where runs are found."""
    sorted_by = (key.what if found is None else found.c[f"key_{n}"] for n, key in enumerate(keys))
    return statement.order_by(*(key.order(what) for key, what in zip(keys, sorted_by, strict=True)))


def columns(keys: list[Key]) -> list[Any]:
    """Returns what is selected of a run that is found."""
    return [RUNS.c.run_uuid, *(key.what.label(f"key_{n}") for n, key in enumerate(keys))]


def walk(search: Select[*tuple[Any, ...]], keys: list[Key], limit: int, offset: int) -> Select[*tuple[Any, ...]]:
    """Returns a statement that follows the index, whatever else the search asks for."""
    places = list(product(*scope(search)))
    runs = ordered(select(*columns(keys)), keys)
    if len(places) > MOST_WALKS:
        within = (column.in_(values) for column, values in zip(SCOPE, scope(search), strict=True))
        return runs.where(*within).limit(limit).offset(offset)
    each = [
        runs.where(*(column == value for column, value in zip(SCOPE, place, strict=True))).limit(offset + limit)
        for place in places
    ]
    if len(each) == 1:
        return each[0].limit(limit).offset(offset)
    together = union_all(*each).subquery("walked")
    return ordered(select(*together.c), keys, together).limit(limit).offset(offset)


def whole(
    search: Select[*tuple[Any, ...]], keys: list[Key], page: Select[*tuple[Any, ...]]
) -> Select[*tuple[Any, ...]]:
    """Returns a statement that reads the rows of runs that are found, in the same order."""
    found = page.subquery(PAGE)
    runs = select(SqlRun).join(found, found.c.run_uuid == SqlRun.run_uuid).options(*search._with_options)  # noqa: SLF001
    return ordered(runs, keys, found)


def narrow(
    search: Select[*tuple[Any, ...]], keys: list[Key], window: Select[*tuple[Any, ...]] | None = None
) -> Select[*tuple[Any, ...]]:
    """Returns a search that finds no more of the runs than which they are; among those of a window if there is one."""
    found = search.with_only_columns(*columns(keys))
    if not may_multiply(search):
        found._distinct = False  # noqa: SLF001
    if window is not None:
        inside = window.subquery(FIRST)
        found = found.select_from(join(RUNS, inside, inside.c.run_uuid == RUNS.c.run_uuid))
    return ordered(found.order_by(None), keys)


def on_statement(state: ORMExecuteState) -> Result[Any] | None:
    """Runs another statement with the same answer instead of a search, for `sqlalchemy.event` "do_orm_execute"."""
    if not is_search(state.statement):
        return None
    search: Any = state.statement
    limit, offset = search._limit, search._offset or 0  # noqa: SLF001
    keys = sort_keys(search)
    if by_start := along_index(state, search, keys):
        if not search._setup_joins and len(search._where_criteria) == len(SCOPE):  # noqa: SLF001
            state.statement = whole(search, by_start, walk(search, by_start, limit, offset))
            return None
        window = walk(search, by_start, max(WINDOW, WINDOW_PAGES * (offset + limit)), 0)
        found = state.invoke_statement(whole(search, by_start, narrow(search, by_start, window))).freeze()
        if len(found.data) == limit:
            return found()
        keys = [Key(MISSING_LAST, ascending), *by_start]  # the same order, which no index has
    state.statement = whole(search, keys, narrow(search, keys))
    return None


def install() -> None:
    """Holds every session of this process to it."""
    event.listen(Session, "do_orm_execute", on_statement)
