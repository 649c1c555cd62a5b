"""Day two on the demo: jobs run by their schedule, and what breaks raises the alert that is there for it."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from containers.container import MIB, control_group, memory_statistic
from harness.waiting import wait_for
from harness.world import SEARCH, WRITER
from localcloud.machine.dialects import PostgreSQL
from localcloud.machine.tiers import size_of
from localcloud.services.alerting import INCIDENT
from localcloud.store import Store
from localcloud.terraform.model import number, text
from tests.e2e.test_faults import database, search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.world import World
    from tests.e2e.conftest import MakeWorld

API = "/api/2.0/mlflow"
TIER = "db-f1-micro"
SMALLEST_DISK_GB, DISK_GB_MIB = 10, 40
SLOW_MS = 400
STEP, MOST_STEPS = timedelta(minutes=4), 8
BUCKET = "mlflow-demo-mlflow-artifacts"


@pytest.fixture(scope="module")
def world(make_world: MakeWorld) -> Iterator[World]:
    watched = {
        "MONITORING__ENABLED": "true",
        "MONITORING__EMAILS": '{ oncall = "oncall@example.com" }',
        "MONITORING__P95_MILLISECONDS": str(SLOW_MS),
        "MONITORING__UPTIME_CHECK": "true",
        # Small, so that each limit can be reached on this machine.
        "DATABASE__TIER": TIER,
        "SERVICE__MAX_INSTANCES": "1",
    }
    with make_world("--uptime-checks", f"--disk-gb={DISK_GB_MIB}", **watched) as deployed:
        yield deployed


def cloud(world: World, *words: str) -> str:
    """Runs a command of the local cloud."""
    command = [sys.executable, "-m", "localcloud", "--home", str(world.home), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 or "execute" in words, done.stderr
    return done.stdout


def alerts(world: World) -> dict[str, float]:
    """The policies that have an open incident, without the service's name, each with what was measured, or 0."""
    store = Store(world.home)
    try:
        found = [it for it in store.all(INCIDENT) if it["state"] == "OPEN"]
    finally:
        store.close()
    return {text(it, "policyName").removeprefix("mlflow: "): number(it, "value") for it in found}


def raised(world: World, title: str) -> None:
    wait_for(lambda: title in alerts(world), f"the alert {title!r}", deadline_s=150)


def raised_by_what_lasts(world: World, *titles: str, step: timedelta = STEP) -> dict[str, float]:
    """Lets time pass until alerts are raised whose conditions must hold for many minutes; returns what was measured."""
    assert alerts(world).keys().isdisjoint(titles)
    for _ in range(MOST_STEPS):
        world.pass_time(step)
        if alerts(world).keys() >= {*titles}:
            return alerts(world)
    raise AssertionError(f"of {titles} only {sorted(alerts(world))} are raised")


def over(world: World, *titles: str) -> None:
    """Lets time pass until alerts are over."""
    for _ in range(MOST_STEPS):
        if alerts(world).keys().isdisjoint(titles):
            return
        world.pass_time(STEP)
    raise AssertionError(f"of {titles} some are still raised: {sorted(alerts(world))}")


def call(world: World, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.request(method, f"{world.url}{API}/{path}", json=body, headers=world.bearer(), timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def run_with_a_file(world: World) -> tuple[str, str]:
    """Makes a run with an artifact; returns its id and the object's name."""
    run = call(world, "POST", "runs/create", {"experiment_id": "0"})["run"]["info"]
    name = f"{run['artifact_uri'].removeprefix(f'gs://{BUCKET}/')}/model.pkl"
    upload = f"{world.storage}/upload/storage/v1/b/{BUCKET}/o"
    query = {"uploadType": "media", "name": name}
    httpx.post(upload, params=query, content=b"x", headers=world.google_bearer(WRITER)).raise_for_status()
    return run["run_id"], name


def objects(world: World) -> set[str]:
    answer = httpx.get(f"{world.storage}/storage/v1/b/{BUCKET}/o", headers=world.google_bearer(WRITER))
    return {item["name"] for item in answer.raise_for_status().json().get("items", [])}


def test_the_schedule_collects_what_was_deleted_long_ago_with_its_files_and_nothing_else(
    world: World,
) -> None:
    (kept, kept_file), (young, young_file), (old, old_file) = (run_with_a_file(world) for _ in range(3))
    for run in (young, old):
        call(world, "POST", "runs/delete", {"run_id": run})
    statement = f"UPDATE runs SET deleted_time = deleted_time - 40 * 86400000::bigint WHERE run_uuid = '{old}'"  # noqa: S608
    database(world).execute(*PostgreSQL.client, "--dbname=mlflow", stdin=statement)
    cloud(world, "clock", "+7d")
    wait_for(lambda: old_file not in objects(world), "the collection", deadline_s=150)
    assert {kept_file, young_file} <= objects(world)
    wait_for(lambda: all(each["done"] for each in executions(world)), "the end of the jobs", deadline_s=150)
    assert {each["job"] for each in executions(world)} == {"mlflow-gc", "mlflow-archive-traces"}
    assert [each for each in executions(world) if each["failed"]] == []
    assert call(world, "GET", f"runs/get?run_id={young}", {})["run"]["info"]["lifecycle_stage"] == "deleted"
    assert kept in json.dumps(call(world, "POST", "runs/search", {"experiment_ids": ["0"]}))
    gone = httpx.get(f"{world.url}{API}/runs/get", params={"run_id": old}, headers=world.bearer())
    assert gone.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def executions(world: World) -> list[dict[str, Any]]:
    """Every execution: its job, whether it is over, and whether it failed."""
    found = []
    for job in ("mlflow-gc", "mlflow-archive-traces", "mlflow-db-upgrade"):
        for one in json.loads(
            cloud(world, "gcloud", "run", "jobs", "executions", "list", f"--job={job}", "--format=json")
        ):
            done = bool(one.get("completionTime"))
            found.append({"job": job, "done": done, "failed": bool(one.get("failedCount"))})
    return found


def test_nothing_is_wrong_before_something_breaks(world: World) -> None:
    for _ in range(MOST_STEPS):
        assert search(world).status_code == 200
        world.pass_time(STEP)
    assert alerts(world) == {}


def test_limits_that_are_reached_raise_their_alerts_for_as_long_as_they_are(world: World) -> None:
    titles = {
        "disk": "The database's disk is filling up",
        "connections": "The database has more connections than the deployment opens",
        "slow": "MLflow is slow",
        "busy": "MLflow runs on all the instances that it may have",
    }
    with filled_disk(world), sessions(world, 18, "SELECT pg_sleep(600)"), slow_database(world), load(world):
        seen = raised_by_what_lasts(world, *titles.values())
    assert 0.85 < seen[titles["disk"]] < 1
    assert seen[titles["connections"]] >= 18
    assert seen[titles["slow"]] > SLOW_MS
    assert seen[titles["busy"]] == 1
    assert seen.keys() == {*titles.values()}
    over(world, *titles.values())


def test_a_memory_that_is_full_raises_an_alert(world: World) -> None:
    title, (_, limit_mib), server = "The database's memory is nearly full", size_of(TIER), database(world)
    # What the kernel can drop is no memory in use.
    kept_mib = server.memory_mib() - memory_statistic(control_group(server.pid, "memory"), "active_file") / MIB
    pieces = int(0.945 * limit_mib - kept_mib)  # of a MiB; the session itself takes some more
    take = f"FOR i IN 1..{pieces} LOOP taken := taken || repeat('x', {MIB}); END LOOP; PERFORM pg_sleep(600)"
    with sessions(world, 1, f"DO $$ DECLARE taken text[]; BEGIN {take}; END $$"):
        wait_for(lambda: server.memory_mib() > 0.955 * limit_mib, "a full memory")
        assert 0.95 < raised_by_what_lasts(world, title)[title] <= 1
    over(world, title)


@contextmanager
def filled_disk(world: World) -> Iterator[None]:
    used_mib = int(database(world).execute("du", "-sm", PostgreSQL.home, user="root").split()[0])
    rows = int((0.92 * SMALLEST_DISK_GB * DISK_GB_MIB - used_mib) * 7 * 128)
    wide = f"SELECT repeat('x', 1000) FROM generate_series(1, {rows})"  # noqa: S608 - seven in each of a MiB's 128 pages
    sql(world, f"CREATE UNLOGGED TABLE filling AS {wide}")
    yield
    sql(world, "DROP TABLE filling")


@contextmanager
def slow_database(world: World) -> Iterator[None]:
    """Somebody locks a table that every search reads, for longer than an answer may take, again and again."""
    held = f"LOCK TABLE experiments; PERFORM pg_sleep({2 * SLOW_MS / 1000}); COMMIT;"
    with sessions(world, 1, f"DO $$ BEGIN LOOP {held} END LOOP; END $$"):
        yield


@contextmanager
def load(world: World) -> Iterator[None]:
    """Some clients call again and again, and are answered."""
    done, token = Event(), world.token()

    def ask() -> int:
        count = 0
        while not done.is_set():
            assert search(world, token).status_code == 200
            count += 1
        return count

    with ThreadPoolExecutor() as pool:
        clients = [pool.submit(ask) for _ in range(4)]
        try:
            yield
        finally:
            done.set()
        assert all(client.result() for client in clients)


def sql(world: World, statement: str) -> str:
    return database(world).execute(*PostgreSQL.client, "--dbname=mlflow", stdin=statement)


@contextmanager
def sessions(world: World, count: int, statement: str) -> Iterator[None]:
    """Connects to the database so often, to run a statement; ends those that still do."""
    mark = f"fault-{secrets.token_hex(4)}"
    of_these = f"FROM pg_stat_activity WHERE application_name = '{mark}' AND state = 'active'"
    command = ("env", f"PGAPPNAME={mark}", *PostgreSQL.client, "--dbname=mlflow", f"--command={statement}")
    at_once = 'for _ in $(seq "$0"); do "$@" & done; wait'
    with ThreadPoolExecutor() as pool:
        opened = pool.submit(database(world).execute, "bash", "-c", at_once, str(count), *command)
        wait_for(lambda: f" {count}\n" in sql(world, f"SELECT count(*) {of_these}"), "the sessions")
        try:
            yield
        finally:
            sql(world, f"SELECT pg_terminate_backend(pid) {of_these}")
            opened.result()


def test_a_denied_sign_in_raises_an_alert(world: World) -> None:
    stranger = httpx.get(f"{world.url}{SEARCH}", headers=world.bearer("eve@elsewhere.example"))
    assert stranger.status_code == 403
    raised(world, "A sign-in was denied")


def test_a_failed_job_raises_an_alert(world: World) -> None:
    cloud(world, "gcloud", "run", "jobs", "execute", "mlflow-gc", "--wait", "--args=gc,--older-than=soon")
    raised(world, "A job failed")


def test_a_killed_container_raises_an_alert(world: World) -> None:
    assert search(world).status_code == 200
    (killed,) = world.instances()
    killed.signal("KILL")
    raised(world, "A container of MLflow ended by itself")


def test_a_database_that_is_away_raises_an_alert_and_a_service_that_does_not_start_without_it_another(
    world: World,
) -> None:
    assert search(world).status_code == 200  # an instance is there
    server = database(world)
    server.stop()
    answers = [search(world).status_code for _ in range(10)]
    assert min(answers) >= 500
    raised(world, "MLflow answers with errors")
    (killed,) = world.instances()
    killed.signal("KILL")
    # A check that waits in vain takes half a minute: no more of them than are needed.
    raised_by_what_lasts(world, "MLflow does not answer", step=timedelta(minutes=2))
    world.engine.run("start", server.id)
    over(world, "MLflow does not answer")
