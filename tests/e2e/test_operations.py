"""Day two on the demo: jobs run by their schedule, and what breaks raises the alert that is there for it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from harness.waiting import wait_for
from harness.world import SEARCH, WRITER
from localcloud.machine.dialects import PostgreSQL
from tests.e2e.test_faults import database, search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.world import World
    from tests.e2e.conftest import MakeWorld

API = "/api/2.0/mlflow"
BUCKET = "mlflow-demo-mlflow-artifacts"


@pytest.fixture(scope="module")
def world(make_world: MakeWorld) -> Iterator[World]:
    watched = {"MONITORING__ENABLED": "true", "MONITORING__EMAILS": '{ oncall = "oncall@example.com" }'}
    with make_world(**watched) as deployed:
        yield deployed


def cloud(world: World, *words: str) -> str:
    """Runs a command of the local cloud."""
    command = [sys.executable, "-m", "localcloud", "--home", str(world.home), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 or "execute" in words, done.stderr
    return done.stdout


def alerts(world: World) -> set[str]:
    """The names of the policies that have an open incident, without the service's."""
    return {one["policyName"].removeprefix("mlflow: ") for one in json.loads(cloud(world, "alerts", "--format=json"))}


def raised(world: World, title: str) -> None:
    wait_for(lambda: title in alerts(world), f"the alert {title!r}", deadline_s=150)


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


def test_the_schedule_collects_what_was_deleted_long_ago_with_its_files_and_nothing_else(world: World) -> None:
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
    assert search(world).status_code == 200
    assert alerts(world) == set()


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


def test_a_database_that_is_away_raises_an_alert(world: World) -> None:
    assert search(world).status_code == 200  # an instance is there
    server = database(world)
    server.stop()
    answers = [search(world).status_code for _ in range(10)]
    assert min(answers) >= 500
    world.engine.run("start", server.id)
    raised(world, "MLflow answers with errors")
