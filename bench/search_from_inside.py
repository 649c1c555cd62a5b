"""Times searches of MLflow's store as it is, rewritten, and with the index, and what the index costs; in the image.

Makes the schema where there is none. Prints JSON; ends with an error where an answer differs.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from mlflow.entities import ViewType
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.search_utils import SearchUtils
from mlflow_cloudrun import database, indexes, mysql_login, run_pages
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.orm import Session

TIMES = 5
CREATED = 50
START = ["attributes.start_time DESC"]
SIZE = {
    "postgresql": ("SELECT pg_indexes_size('runs')",),
    "mysql": ("ANALYZE TABLE runs", "SELECT index_length FROM information_schema.tables WHERE table_name = 'runs'"),
}


def searches(runs: int) -> dict[str, tuple[str, list[str] | None, int, int]]:
    """Returns the searches: condition, order, length of the page, runs before it."""
    return {
        "page": ("", START, 25, 0),
        "no order": ("", None, 25, 0),
        "deep": ("", START, 25, runs // 2),
        "thousand": ("", START, 1_000, 0),
        "tag": ("tags.`tag-1` = 'value-7'", START, 25, 0),
        "metric": ("metrics.`metric-1` > 0.5", START, 25, 0),
        "none": ("attributes.status = 'RUNNING'", START, 25, 0),
        "by metric": ("", ["metrics.`metric-2` DESC"], 25, 0),
        "by parameter": ("", ["params.`param-2` ASC"], 25, 0),
        "by name": ("", ["attributes.run_name ASC"], 25, 0),
    }


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Returns the milliseconds that it takes, and what it returns."""
    began = time.perf_counter()
    found = work()
    return 1_000 * (time.perf_counter() - began), found


def ids(store: SqlAlchemyStore, *search: Any) -> list[str]:  # noqa: ANN401
    """Returns which runs a search finds."""
    return [run.info.run_id for run in store.search_runs(*search)]


def ask(store: SqlAlchemyStore, runs: int) -> dict[str, tuple[float, object]]:
    """Returns the median of each search, and its answer."""
    found: dict[str, tuple[float, object]] = {}
    for name, (condition, order, length, before) in searches(runs).items():
        token = SearchUtils.create_page_token(before) if before else None
        search = partial(ids, store, ["0"], condition, ViewType.ACTIVE_ONLY, length, order, token)
        search()  # reads the tables into memory
        times = [timed(search) for _ in range(TIMES)]
        found[name] = median(milliseconds for milliseconds, _ in times), times[0][1]
    return found


def create(store: SqlAlchemyStore) -> float:
    """Returns the median of the milliseconds in which a run is created; they are deleted for ever."""
    runs: list[str] = []

    def one() -> None:
        runs.append(store.create_run("0", "ada@example.com", 1, [], "bench").info.run_id)

    took = median(timed(one)[0] for _ in range(CREATED))
    for run in runs:
        store.delete_run(run)
        store._hard_delete_run(run)  # noqa: SLF001
    return took


def bytes_of_indexes(engine: Engine) -> int:
    """Returns how large all indexes of runs are."""
    with engine.connect() as connection:
        *first, last = SIZE[engine.dialect.name]
        for statement in first:
            connection.execute(text(statement)).all()
        return int(connection.execute(text(last)).scalar_one())


def main() -> None:
    """Prints the milliseconds of each search in the three ways, and the index's costs."""
    uri = os.environ["BACKEND_STORE_URI"]
    if uri.startswith("mysql"):
        mysql_login.install()
    engine = create_engine(uri)
    database.upgrade(uri, patience_s=60, longest_s=600)
    store = SqlAlchemyStore(uri, "gs://artifacts")
    with engine.connect() as connection:
        runs = int(connection.execute(text("SELECT COUNT(*) FROM runs")).scalar_one())
        for index in indexes.wanted(engine.dialect.name):
            if index.name in indexes.there(connection):
                indexes.drop_one(connection, index)
        connection.commit()
    before, small = create(store), bytes_of_indexes(engine)
    plain = ask(store, runs)
    event.listen(Session, "do_orm_execute", run_pages.on_statement)
    rewritten = ask(store, runs)
    made, _ = timed(lambda: indexes.make(engine))
    indexed = ask(store, runs)
    if any(plain[name][1] != way[name][1] for way in (rewritten, indexed) for name in plain):
        raise SystemExit("an answer differs from MLflow's")
    outcome = {
        "searches": {name: [way[name][0] for way in (plain, rewritten, indexed)] for name in plain},
        "made_s": made / 1_000,
        "bytes": (bytes_of_indexes(engine) - small) / max(runs, 1),
        "create": [before, create(store)],
        "times": TIMES,
    }
    sys.stdout.write(json.dumps(outcome) + "\n")


if __name__ == "__main__":
    main()
