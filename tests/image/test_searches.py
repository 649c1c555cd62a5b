"""What one search may cost the database: the worst that is let through leaves a small instance alive."""

import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from harness.databases import Postgres
from harness.load import API
from harness.service import Platform, Service

MOST_JOINS = 30
RUNS = 2000
# db-f1-micro has 614 MiB, and three searches run at a time. Without the bounds, 50 conditions take 2.9 GiB.
BACKEND_MIB = 150
TRACES = {"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]}
GRAPHQL = "query X($i: MlflowSearchRunsInput!) { mlflowSearchRuns(input: $i) { runs { info { runUuid } } } }"


SEED = f"""
INSERT INTO runs (run_uuid, name, user_id, artifact_uri, experiment_id, lifecycle_stage, status, start_time)
  SELECT md5(i::text), 'run', 'ada', 'gs://artifacts', 0, 'active', 'FINISHED', i FROM generate_series(1, {RUNS}) i;
INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
  SELECT 'm' || k, i, 1, 1, false, md5(i::text) FROM generate_series(1, {RUNS}) i, generate_series(0, 29) k;
ANALYZE;
"""  # noqa: S608


@pytest.fixture(scope="module")
def searched(platform: Platform, migrated: str) -> str:
    return platform.postgres.create(template=migrated)


@pytest.fixture(scope="module")
def service(platform: Platform, searched: str) -> Generator[Service]:
    """The service with many runs of many metrics."""
    with platform.service(platform.postgres.uri(searched)) as running:
        platform.postgres.execute(SEED, database=searched)
        yield running


def conditions(number: int, form: str = "metrics.m{} >= 0") -> str:
    return " and ".join(form.format(i) for i in range(number))


def keys(number: int, form: str = "metrics.m{}") -> list[str]:
    return [form.format(i) for i in range(number)]


def runs(service: Service, **body: object) -> httpx.Response:
    return service.http.post(f"{API}/runs/search", json={"experiment_ids": ["0"], **body}, headers=service.bearer())


COSTLY: dict[str, tuple[str, object]] = {
    "conditions": (f"{API}/runs/search", {"experiment_ids": ["0"], "filter": conditions(400)}),
    "absences": (f"{API}/runs/search", {"experiment_ids": ["0"], "filter": conditions(400, "params.p{} IS NULL")}),
    "sort keys": (f"{API}/runs/search", {"experiment_ids": ["0"], "order_by": keys(300)}),
    "data sets": (f"{API}/runs/search", {"experiment_ids": ["0"], "filter": conditions(40, "dataset.name = 'd{}'")}),
    "experiments": (f"{API}/experiments/search", {"max_results": 5, "filter": conditions(400, "tags.t{} = 'x'")}),
    "traces": ("/api/3.0/mlflow/traces/search", TRACES | {"filter": conditions(400, "tag.t{} = 'x'")}),
    "sorted traces": ("/api/3.0/mlflow/traces/search", TRACES | {"order_by": keys(300, "tag.t{}")}),
    "feedback": ("/api/3.0/mlflow/traces/search", TRACES | {"filter": conditions(400, "feedback.f{} = 'x'")}),
    "models": (f"{API}/logged-models/search", {"experiment_ids": ["0"], "filter": conditions(400, "params.p{} = 'x'")}),
}


@pytest.mark.parametrize("kind", COSTLY)
def test_a_costly_search_is_refused_with_its_bound(service: Service, kind: str) -> None:
    path, body = COSTLY[kind]
    answer = service.http.post(path, json=body, headers=service.bearer())
    assert answer.status_code == 400
    assert f"more than {MOST_JOINS} joins of tables" in answer.json()["message"]


def test_graphql_has_the_same_bound(service: Service) -> None:
    variables = {"i": {"experimentIds": ["0"], "filter": conditions(400)}}
    body = {"operationName": "X", "query": GRAPHQL, "variables": variables}
    answer = service.http.post("/graphql", json=body, headers=service.bearer())
    assert f"more than {MOST_JOINS} joins of tables" in answer.json()["errors"][0]


@pytest.mark.parametrize("text", ["()" * 15_000, "(" * 30_000, " " * 30_000])
def test_a_filter_that_is_too_long_to_parse_is_refused_with_its_bound(service: Service, text: str) -> None:
    answer = runs(service, filter=text)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("A filter may have 20000 characters, and this one has 30000")


def test_the_worst_search_that_is_allowed_is_served_and_leaves_the_database_memory(
    service: Service, postgres: Postgres, searched: str
) -> None:
    worst: list[dict[str, object]] = [
        {"filter": conditions(MOST_JOINS)},
        {"order_by": keys(MOST_JOINS)},
        {"filter": conditions(MOST_JOINS // 2), "order_by": keys(MOST_JOINS // 2, "params.p{}")},
    ]
    for body in worst:
        answer = runs(service, max_results=10, **body)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["runs"]) == 10
    pids = postgres.execute(f"SELECT pid FROM pg_stat_activity WHERE datname = '{searched}'")  # noqa: S608
    peaks = [re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()) for (pid,) in pids]
    assert max(int(kib) for (kib,) in peaks) / 1024 < BACKEND_MIB


@pytest.mark.fault(
    "the database is slow, or a lock is held",
    "a search ends after 30 s with 422 and what to do, a wait for a lock after 15 s with 503",
)
def test_no_statement_runs_for_ever(service: Service, postgres: Postgres, searched: str) -> None:
    postgres.execute("ALTER TABLE experiments RENAME TO slow", database=searched)
    postgres.execute("CREATE VIEW experiments AS SELECT * FROM slow WHERE pg_sleep(300) IS NOT NULL", database=searched)
    with (
        postgres.holding("LOCK TABLE registered_models IN ACCESS EXCLUSIVE MODE", database=searched),
        ThreadPoolExecutor(2) as pool,
    ):
        slow = pool.submit(service.search)
        model = f"{API}/registered-models/get?name=x"
        locked = pool.submit(service.http.get, model, headers=service.bearer())
    assert slow.result().status_code == 422
    assert slow.result().json()["error_code"] == "DEADLINE_EXCEEDED"
    assert "Narrow it" in slow.result().json()["message"]
    assert locked.result().status_code == 503
    assert "Retry-After" in locked.result().headers
