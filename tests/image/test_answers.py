"""The size of an answer ends no instance, whatever is stored and asked: pages become shorter, or it is refused."""

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from harness.attackers import peak_of
from harness.load import API
from harness.service import Platform, Service
from tests.image import stored
from tests.image.client import run_script

AT_ONCE = 80
# As many as MLflow takes.
SEARCHES = " ".join(
    f"a{i}: mlflowSearchRuns(input: $i) {{ runs {{ data {{ metrics {{ key }} }} }} }}" for i in range(10)
)
GRAPHQL = {
    "query": f"query X($i: MlflowSearchRunsInput!) {{ {SEARCHES} }}",
    "variables": {"i": {"experimentIds": ["0"], "maxResults": 1000}},
}


@pytest.fixture(scope="module")
def database(platform: Platform, migrated: str) -> str:
    return platform.postgres.create(template=migrated)


@pytest.fixture(scope="module")
def service(platform: Platform, database: str) -> Generator[Service]:
    with platform.service(platform.postgres.uri(database)) as running:
        running.http.headers.update(running.bearer())
        running.http.timeout = httpx.Timeout(280)
        yield running


@pytest.fixture(scope="module")
def dataset(platform: Platform, database: str, service: Service) -> str:
    """The id of a dataset, in a database full of large things."""
    return stored.fill(platform.postgres, database, service.http)


WIDE = hashlib.md5(b"wide").hexdigest()  # noqa: S324  an id
Call = Callable[[httpx.Client, str], httpx.Response]
CALLS: dict[str, Call] = {
    "runs": lambda http, _: http.post(f"{API}/runs/search", json={"experiment_ids": ["0"], "max_results": 50_000}),
    "one run of 120,000 metrics": lambda http, _: http.post(f"{API}/runs/search", json={"experiment_ids": ["77"]}),
    "a run": lambda http, _: http.get(f"{API}/runs/get?run_id=" + WIDE),
    "versions": lambda http, _: http.get(f"{API}/model-versions/search?max_results=200000"),
    "a trace of lists": lambda http, _: http.get(f"/ajax-api/3.0/mlflow/traces/get?trace_id={stored.TRACE}"),
    "a trace of texts": lambda http, _: http.get(f"/api/3.0/mlflow/traces/batchGet?trace_ids={stored.LONG_TRACE}"),
    "records": lambda http, dataset: http.get(f"/api/3.0/mlflow/datasets/{dataset}/records?max_results=1000"),
    "ten searches in one": lambda http, _: http.post("/graphql", json=GRAPHQL),
}
PAGED = ("runs", "versions", "records")


@pytest.mark.parametrize("kind", CALLS)
def test_an_answer_is_served_in_part_or_refused_with_what_to_do(service: Service, dataset: str, kind: str) -> None:
    answer = CALLS[kind](service.http, dataset)
    assert service.container.memory_kills() == 0
    if kind in PAGED:
        assert answer.status_code == 200, answer.text
        assert answer.json()["next_page_token"]
    elif kind != "ten searches in one" or answer.status_code != 200:
        assert answer.status_code == 413, answer.text
        assert "Ask for less" in answer.json()["message"]


def test_mlflows_client_finds_everything_page_by_page(service: Service, dataset: str, storage_port: int) -> None:
    assert dataset
    run_script(service, storage_port, "search_all.py", str(stored.RUNS), str(stored.VERSIONS))


def test_eighty_large_answers_at_once_do_not_end_it(
    service: Service, dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = [*CALLS.values()] * (AT_ONCE // len(CALLS))

    def ask(call: Call) -> httpx.Response:
        with httpx.Client(base_url=service.url, headers=service.bearer(), timeout=280) as http:
            return call(http, dataset)

    with peak_of(service.container) as samples, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, kinds))
    statuses = Counter(answer.status_code for answer in answers)
    with capsys.disabled():
        peak = max(samples)
        sys.stderr.write(f"[image] {AT_ONCE} large answers at once: peak {peak:.0f} MiB, {dict(statuses)}\n")
    assert [answer.text for answer in answers if answer.status_code not in {200, 413, 503}] == []
    assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 503)
    assert service.container.memory_kills() == 0
    assert service.search().status_code == 200
