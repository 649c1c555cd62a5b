"""Many calls at once, with the pool that the stack sets: excess waits in line or is told to come back, none is lost."""

import os
import time
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from harness.databases import Postgres, most_connections
from harness.load import API, EXPERIMENT
from harness.service import SEARCH, Platform, Service
from harness.waiting import wait_for
from stacks.mlflow import CONNECTIONS_PER_INSTANCE
from tests.image import traces
from tests.image.client import run_script


@pytest.fixture(scope="module")
def parallel_database(platform: Platform, migrated: str) -> str:
    return platform.postgres.create(template=migrated)


@pytest.fixture(scope="module")
def service(platform: Platform, parallel_database: str) -> Generator[Service]:
    with platform.service(platform.postgres.uri(parallel_database)) as running:
        yield running


Call = Callable[[httpx.Client, int], httpx.Response]


def until_served(call: Call, http: httpx.Client, number: int) -> Counter[int]:
    """Calls as MLflow's client does: comes back after as many seconds as the server asks for."""
    statuses: Counter[int] = Counter()
    while (answer := call(http, number)).status_code == 503:
        statuses[503] += 1
        time.sleep(int(answer.headers["Retry-After"]))
    statuses[answer.status_code] += 1
    return statuses


def at_once(service: Service, at_a_time: int, calls: int, call: Call) -> Counter[int]:
    """Makes calls with so many clients at a time; returns how often each status came, but for 503 to come back."""
    limits = httpx.Limits(max_connections=at_a_time, max_keepalive_connections=at_a_time)
    statuses: Counter[int] = Counter()
    with (
        httpx.Client(base_url=service.url, headers=service.bearer(), timeout=120, limits=limits) as http,
        ThreadPoolExecutor(at_a_time) as pool,
    ):
        for found in pool.map(lambda number: until_served(call, http, number), range(calls)):
            statuses += found
    del statuses[503]
    return statuses


def test_parallel_exports_of_traces_all_arrive(service: Service, postgres: Postgres, parallel_database: str) -> None:
    answers = at_once(service, 10, 80, lambda http, number: traces.export(http, traces.body(f"span-{number}")))
    assert answers == {200: 80}
    assert postgres.execute("SELECT count(*) FROM spans", database=parallel_database) == [(80,)]


def test_an_evaluation_and_trainings_at_once_lose_nothing(service: Service, storage_port: int) -> None:
    rows, steps = os.environ.get("ROWS", "60"), os.environ.get("STEPS", "10")  # the note's figures are of 1000 and 100
    run_script(service, storage_port, "use_at_once.py", rows, steps)


def test_an_instance_opens_as_many_connections_as_the_stack_counts_on(
    service: Service, postgres: Postgres, parallel_database: str
) -> None:
    created = service.http.post(f"{API}/runs/create", json={"experiment_id": EXPERIMENT}, headers=service.bearer())
    run_id = created.json()["run"]["info"]["run_id"]

    def log_batch(http: httpx.Client, number: int) -> httpx.Response:
        metrics = [{"key": f"m{i}", "value": i, "timestamp": number, "step": number} for i in range(20)]
        tags = [{"key": f"t{number}", "value": "v"}]
        return http.post(f"{API}/runs/log-batch", json={"run_id": run_id, "metrics": metrics, "tags": tags})

    with most_connections(postgres, parallel_database) as counts:
        assert at_once(service, 80, 160, log_batch) == {200: 160}
    assert max(counts) == CONNECTIONS_PER_INSTANCE


@pytest.mark.fault(
    "the database is away while it serves",
    "503 with `Retry-After`, never 400 or 404; it heals when the database is back",
)
def test_without_a_database_every_call_is_told_to_come_back(service: Service, postgres: Postgres) -> None:
    calls: list[Callable[[], httpx.Response]] = [
        lambda: service.http.get(SEARCH, headers=service.bearer()),
        lambda: service.http.get(f"{API}/experiments/get?experiment_id=0", headers=service.bearer()),
        lambda: service.http.get(f"{API}/registered-models/get?name=x", headers=service.bearer()),
        lambda: service.http.post(f"{API}/runs/create", json={"experiment_id": "0"}, headers=service.bearer()),
        lambda: service.http.post("/graphql", json=GRAPHQL, headers=service.bearer()),
        lambda: traces.export(service.http, traces.body("x"), headers=service.bearer()),
    ]
    postgres.stop()
    try:
        answers = [call() for call in calls]
    finally:
        postgres.start()
    for answer in answers:
        assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE"), answer.text
        assert int(answer.headers["Retry-After"]) > 0
        assert "cloudsql" not in answer.text
    wait_for(lambda: service.search().status_code == 200, "recovery")


GRAPHQL = {
    "operationName": "GetExperiment",
    "query": 'query GetExperiment { mlflowGetExperiment(input: {experimentId: "0"}) { experiment { name } } }',
}
