"""Schemas: empty, older, newer, several starts at once; and MySQL."""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from harness.databases import MySql, Postgres
from harness.service import Platform, Service
from harness.waiting import wait_for
from tests.image import old_packages
from tests.image.client import use_everything
from tests.image.test_searches import conditions, runs

ROOT = Path(__file__).parents[2]
SEED = Path(__file__).parent / "seed_old_mlflow.py"
OLD_VERSIONS = ["2.22.5", "3.0.1"]
EX_DATAERR = 65
BOTH_WAYS = Path(__file__).parent / "search_both_ways.py"
INDEX, INDEX_OF_TRACES = "cloudrun_runs_by_start", "cloudrun_traces_by_time"
SEARCHES = 60
KEYS_OF_RUNS = "SELECT index_name FROM information_schema.statistics WHERE table_name = 'runs'"
LONGEST_S = 300


@pytest.fixture(scope="module")
def mysql(scratch: Path) -> Generator[MySql]:
    server = MySql(scratch / "mysql")
    yield server
    server.stop()


def seed(version: str, folder: Path, uri: str, name: str) -> None:
    """Installs an older MLflow beside everything else, and fills the database through it."""
    old_packages.install(version, folder)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-S", "-W", "ignore", str(SEED), uri, name]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True, cwd=folder)
    assert done.stdout.endswith(version)


@pytest.mark.fault("three instances start at once on an empty database", "one of them migrates, all of them serve")
def test_three_starts_at_once_on_an_empty_database(platform: Platform, postgres: Postgres) -> None:
    uri = postgres.uri(postgres.create())
    with ExitStack() as stack:
        services = [stack.enter_context(platform.service(uri, wait=False)) for _ in range(3)]
        with ThreadPoolExecutor() as pool:
            list(pool.map(Service.wait_until_ready, services))
        assert [service.search().status_code for service in services] == [200, 200, 200]
        migrations = sum(service.container.logs().count("The schema is empty; migrating") for service in services)
    assert migrations == 1


@pytest.mark.fault("the database is of an older MLflow", "it is migrated with its data before the port opens")
@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_a_database_of_an_older_mlflow_is_migrated_with_its_data(
    platform: Platform, postgres: Postgres, tmp_path: Path, version: str
) -> None:
    name = f"made-by-{version}"
    database = postgres.create()
    seed(version, tmp_path, postgres.uri(database, sockets=str(postgres.sockets)), name)
    with platform.service(postgres.uri(database)) as service:
        experiments = service.search().json()["experiments"]
        (experiment,) = [item for item in experiments if item["name"] == name]
        body = {"experiment_ids": [experiment["experiment_id"]]}
        runs = service.http.post("/api/2.0/mlflow/runs/search", json=body, headers=service.bearer()).json()["runs"]
        models = service.http.get("/api/2.0/mlflow/registered-models/search", headers=service.bearer()).json()
        metrics = service.http.get(
            "/api/2.0/mlflow/metrics/get-history",
            params={"run_id": runs[0]["info"]["run_id"], "metric_key": "loss"},
            headers=service.bearer(),
        ).json()["metrics"]
    assert [run["data"]["params"] for run in runs] == [[{"key": "depth", "value": "3"}]]
    assert {"key": "team", "value": "blue"} in runs[0]["data"]["tags"]
    assert [metric["value"] for metric in metrics] == [1 / (step + 1) for step in range(50)]
    assert [model["name"] for model in models["registered_models"]] == [name]


@pytest.mark.fault("the database is of a newer MLflow", "status 65 and what to do; nothing is changed")
def test_a_newer_schema_is_refused_with_what_to_do(platform: Platform, postgres: Postgres, database: str) -> None:
    postgres.execute("UPDATE alembic_version SET version_num = 'fromthefuture'", database=database)
    status, log = platform.ends(platform.spec(postgres.uri(database)))
    assert status == EX_DATAERR, log
    assert "a newer MLflow migrated it. Deploy the newer image again, or restore the backup" in log
    assert postgres.execute("SELECT version_num FROM alembic_version", database=database) == [("fromthefuture",)]


def test_the_upgrade_job_migrates_and_says_so(platform: Platform, postgres: Postgres) -> None:
    database = postgres.create()
    for _ in range(2):
        status, log = platform.ends(platform.job(database, "db-upgrade"))
        assert status == 0, log
        assert "The schema is up to date" in log
    assert postgres.execute("SELECT count(*) FROM alembic_version", database=database) == [(1,)]


def test_mysql_serves_the_whole_client(
    platform: Platform, storage_port: int, mysql: MySql, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        sys.stderr.write("[image] MySQL is Debian's MariaDB here, behind MySQL's login\n")
    with platform.service(mysql.uri(), sockets=mysql.sockets) as service:
        use_everything(service, storage_port)
        wait_for(lambda: (INDEX,) in mysql.execute(KEYS_OF_RUNS), "the index, which is made while the service runs")


def test_mysql_bounds_a_search_too(platform: Platform, mysql: MySql) -> None:
    with platform.service(mysql.uri(), sockets=mysql.sockets) as service:
        costly = runs(service, filter=conditions(400))
        assert costly.status_code == 400
        assert "joins of tables" in costly.json()["message"]
        slow = "RENAME TABLE experiments TO slow; CREATE VIEW experiments AS SELECT * FROM slow WHERE SLEEP(300) = 0"
        mysql.execute(slow, database="mlflow")
        try:
            answer = service.search()
        finally:
            mysql.execute("DROP VIEW experiments; RENAME TABLE slow TO experiments", database="mlflow")
        assert answer.status_code == 422
        assert "Narrow it" in answer.json()["message"]


def searched_both_ways(platform: Platform, uri: str, sockets: Path) -> dict[str, object]:
    """Asserts that the image searches for runs as MLflow does, and looks after the index that it follows."""
    spec = platform.spec(uri, sockets=sockets)
    mounts = {**spec.mounts, BOTH_WAYS: "/search.py"}
    script = replace(spec, mounts=mounts, entrypoint="/opt/mlflow/bin/python", command=["-W", "ignore", "/search.py"])
    status, log = platform.ends(script, timeout_s=LONGEST_S)
    assert status == 0, log
    outcome = json.loads(log.splitlines()[-1])
    assert outcome["differ"] == []
    assert outcome["searches"] > SEARCHES
    assert outcome["runs"] > 10 * SEARCHES
    for words in ("page", "no order", "condition"):
        assert INDEX in outcome[words], outcome[words]
    for promise in ("kept", "dropped", "one at a time", "made", "made again"):
        assert outcome[promise], promise
    return outcome


@pytest.mark.fault("the making of an index is killed", "what it left is noticed, and made again; searches are slower")
def test_runs_are_found_along_an_index_and_are_those_that_mlflow_finds(
    platform: Platform, postgres: Postgres, database: str
) -> None:
    outcome = searched_both_ways(platform, postgres.uri(database), postgres.sockets)
    assert outcome["were there"], "db-upgrade makes the index"


def test_mysql_finds_them_along_an_index_too(platform: Platform, mysql: MySql) -> None:
    outcome = searched_both_ways(platform, mysql.uri(), mysql.sockets)
    assert f"trace_info: {INDEX_OF_TRACES}" in str(outcome["traces"])
    assert "filesort" not in str(outcome["traces"])
