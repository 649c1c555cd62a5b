"""Searches for runs as MLflow does, and as the image does, in one database; prints what differs, as JSON. In the image.

Of 3,000 runs many begin at once, some have no start, are deleted, lack a value or have none that is a number. Both walk
through the pages of the same searches.
"""

import itertools
import json
import os
import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels import models
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow_cloudrun import database, indexes, mysql_login, run_pages
from mlflow_cloudrun import engine as service_engine
from sqlalchemy import Engine, create_engine, event, insert, text

URI = os.environ["BACKEND_STORE_URI"]
RUNS, TRACES, EXPERIMENTS, WITHOUT_START = 3_000, 3_000, (11, 12, 13), 13
LARGEST = "11"
ORDERS = (
    None,
    ["attributes.start_time DESC"],
    ["attributes.start_time ASC"],
    ["attributes.end_time DESC"],
    ["metrics.loss DESC"],
    ["metrics.loss ASC", "params.depth DESC"],
    ["tags.team ASC", "attributes.start_time ASC"],
    ["attributes.run_name ASC"],
)
FILTERS = (
    "",
    "metrics.loss > 0.5",
    "metrics.loss != 0",
    "metrics.loss > 99",
    "params.depth = '3' AND tags.team = 'blue'",
    "tags.team LIKE 'b%'",
    "params.depth IS NULL",
    "attributes.status = 'FAILED'",
    "attributes.start_time > 1700000100000",
    "attributes.run_name LIKE 'run-1%'",
    "dataset.name LIKE 'data%'",
)
VIEWS = (ViewType.ACTIVE_ONLY, ViewType.ALL, ViewType.DELETED_ONLY)
SIZES = (1, 7, 40, 120)
SCOPES = (["11"], ["12"], ["13"], ["11", "12"], ["13", "11"], ["11", "12", "13", "99"], ["99"])
PAGES = 3
SHORT_PATIENCE = {"postgresql": "SET lock_timeout = '100ms'", "mysql": "SET lock_wait_timeout = 1"}
SEARCHES = 60


def seed(engine: Engine) -> None:
    """Writes the runs."""
    chance = random.Random(1)  # noqa: S311  the same ones each time
    rows: dict[Any, list[dict[str, object]]] = {}

    def add(kind: Any, **row: object) -> None:
        rows.setdefault(kind.__table__, []).append(row)

    for number in EXPERIMENTS:
        add(models.SqlExperiment, experiment_id=number, name=f"e{number}", lifecycle_stage="active")
        add(models.SqlDataset, dataset_uuid=f"d{number}", experiment_id=number, name=f"data{number}", digest="1",
            dataset_source_type="s", dataset_source="s", dataset_schema="", dataset_profile="")  # fmt: skip
        add(models.SqlDataset, dataset_uuid=f"d{number}-2", experiment_id=number, name="data", digest="2",
            dataset_source_type="s", dataset_source="s", dataset_schema="", dataset_profile="")  # fmt: skip
    for number in range(RUNS):
        run, experiment = f"{chance.getrandbits(128):032x}", chance.choice((11, 11, 11, 12, 13))
        start = None if experiment == WITHOUT_START and number % 3 == 0 else 1_700_000_000_000 + 1000 * (number // 9)
        add(models.SqlRun, run_uuid=run, name=f"run-{number}", start_time=start, experiment_id=experiment,
            end_time=chance.choice((None, 5, 6, 7)), status=chance.choice(("FINISHED", "FAILED")), user_id="u",
            source_type="LOCAL", source_name="", entry_point_name="", source_version="", artifact_uri="gs://a",
            deleted_time=None, lifecycle_stage="deleted" if number % 11 == 0 else "active")  # fmt: skip
        add(models.SqlTag, run_uuid=run, key="mlflow.runName", value=f"run-{number}")
        if chance.random() < 0.8:
            nan = chance.random() < 0.1
            value = 0 if nan else chance.choice((0, 0.25, 1, chance.random()))
            add(models.SqlLatestMetric, run_uuid=run, key="loss", value=value, timestamp=1, step=1, is_nan=nan)
        if chance.random() < 0.7:
            add(models.SqlParam, run_uuid=run, key="depth", value=str(chance.randrange(5)))
        if chance.random() < 0.6:
            add(models.SqlTag, run_uuid=run, key="team", value=chance.choice(("blue", "Blue", "black", "red")))
        for dataset in chance.sample((f"d{experiment}", f"d{experiment}-2"), chance.choice((0, 0, 1, 2))):
            add(models.SqlInput, input_uuid=f"{chance.getrandbits(128):032x}", source_type="DATASET", source_id=dataset,
                destination_type="RUN", destination_id=run, step=0)  # fmt: skip
    for number in range(TRACES):
        add(models.SqlTraceInfo, request_id=f"tr-{chance.getrandbits(128):032x}", experiment_id=int(LARGEST),
            timestamp_ms=number // 3, execution_time_ms=1, status="OK")  # fmt: skip
    with engine.begin() as connection:
        for table, values in rows.items():
            connection.execute(insert(table), values)
        names = ", ".join(table.name for table in rows)
        connection.execute(text(f"{'ANALYZE TABLE' if engine.dialect.name == 'mysql' else 'ANALYZE'} {names}"))


def searches() -> list[tuple[Any, ...]]:
    """Returns arguments of searches: each word of each kind, and many mixtures."""
    chance = random.Random(2)  # noqa: S311
    kinds = (SCOPES, FILTERS, VIEWS, SIZES, ORDERS)
    longest = max(map(len, kinds))
    each = list(itertools.islice(zip(*map(itertools.cycle, kinds), strict=True), longest))
    return [*each, *(tuple(map(chance.choice, kinds)) for _ in range(SEARCHES))]


def pages(store: Any, *search: Any) -> list[Any]:
    """Returns the first pages of a search, and their tokens; where a run has no start, MLflow's words about it."""
    found: list[Any] = []
    token = None
    for _ in range(PAGES):
        try:
            runs = store.search_runs(*search, token)
        except MlflowException as error:
            return [*found, str(error)]
        token = runs.token
        found.append(([as_text(run.to_dictionary()) for run in runs], token))
        if not token:
            break
    return found


def as_text(run: dict[str, Any]) -> str:
    """Returns all that is said of a run: no number that is none equals itself, and inputs have no order."""
    run["inputs"]["dataset_inputs"].sort(key=str)
    return json.dumps(run, sort_keys=True)


def plan(engine: Engine, search: Callable[[], object]) -> str:
    """Returns the database's plan of the statements that find the things of a page."""
    sent: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if "LIMIT" in statement:
            sent.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    search()
    event.remove(Engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        plans = [connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).all() for statement, parameters in sent]
    lines = [line for lines in plans for line in lines]
    if engine.dialect.name == "mysql":  # which also names those that it does not follow
        return "\n".join(f"{line.table}: {line.key}, {line.Extra}" for line in lines)
    return "\n".join(map(str, lines))


def failure_is_made_good(engine: Engine) -> bool:
    """Returns whether an index that could not be made, and what PostgreSQL leaves of it, is noticed, and made again.

    As by the service, on an engine of its own; a transaction of somebody else is in its way.
    """
    (index, *_), serving = indexes.ALL, service_engine.create(URI)
    indexes.PATIENT[engine.dialect.name] += (SHORT_PATIENCE[engine.dialect.name],)
    with engine.connect() as other, engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        indexes.drop_one(connection, index)
        other.execute(text("UPDATE runs SET status = 'FAILED' WHERE experiment_id = 11"))
        failed = not indexes.try_to_make(serving)
        left = indexes.there(connection).get(index.name)
    as_expected = left is (False if engine.dialect.name == "postgresql" else None)
    noticed = bool(indexes.missing(engine))
    return failed and as_expected and noticed and indexes.try_to_make(serving) and not indexes.missing(engine)


def upkeep(engine: Engine, folder: Path) -> dict[str, bool]:
    """Returns what holds of the indexes when others make them, and around a migration."""
    other, naming = folder / "other.py", folder / "naming.py"
    other.write_text('op.add_column("metrics", x)')
    naming.write_text('with op.batch_alter_table("runs") as batch:')
    kept = indexes.drop(engine, [other]) and not indexes.missing(engine)
    dropped = indexes.drop(engine, [naming]) and indexes.ALL[0] in indexes.missing(engine)
    with indexes.locked(engine):
        waits = not indexes.make(engine) and bool(indexes.missing(engine))
    made = indexes.make(engine) and not indexes.missing(engine)
    again = failure_is_made_good(engine)
    return {"kept": kept, "dropped": dropped, "one at a time": waits, "made": made, "made again": again}


def main() -> None:
    """Prints the differences, the plans and what holds of the indexes."""
    if URI.startswith("mysql"):
        mysql_login.install()
    engine = create_engine(URI)
    database.upgrade(URI, patience_s=60, longest_s=600)
    were_there = not indexes.missing(engine)
    indexes.make(engine)
    seed(engine)
    store: Any = SqlAlchemyStore(URI, "gs://artifacts")
    plain = [pages(store, *search) for search in searches()]
    run_pages.install()
    ours = [pages(store, *search) for search in searches()]
    pairs = zip(searches(), plain, ours, strict=True)
    latest = ["attributes.start_time DESC"]
    run_page = partial(store.search_runs, [LARGEST], run_view_type=ViewType.ACTIVE_ONLY, max_results=20)
    outcome = {
        "were there": were_there,
        "searches": len(plain),
        "runs": sum(len(page[0]) for answer in plain for page in answer if not isinstance(page, str)),
        "differ": [str(search) for search, one, other in pairs if one != other],
        "page": plan(engine, partial(run_page, filter_string="", order_by=latest)),
        "no order": plan(engine, partial(run_page, filter_string="")),
        "condition": plan(engine, partial(run_page, filter_string="tags.team = 'blue'")),
        "traces": plan(engine, partial(store.search_traces, [LARGEST], max_results=20)),
        **upkeep(engine, Path("/tmp")),  # noqa: S108
    }
    sys.stdout.write(json.dumps(outcome) + "\n")


if __name__ == "__main__":
    main()
