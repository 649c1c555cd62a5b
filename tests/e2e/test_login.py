"""To logins without a database password and back, as the runbook has it: Terraform alone, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from harness.waiting import wait_for
from harness.world import SEARCH, World
from stacks import addresses
from tests.e2e.writer import writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import MakeWorld

pytestmark = pytest.mark.long

DATA: Final = (addresses.INSTANCE, addresses.DATABASE, addresses.DATABASE_USER, addresses.BUCKET)
LOGIN: Final = "roles/cloudsql.instanceUser"


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def world(make_world: MakeWorld, request: pytest.FixtureRequest) -> Iterator[World]:
    with make_world(DATABASE__ENGINE=request.param, JOBS__ENABLED="true") as deployed:
        yield deployed


def change(world: World, login: str) -> None:
    """One step: a plan that replaces nothing that holds data, the apply, and an empty plan after it."""
    world.synthesize(DATABASE__LOGIN=login)
    changes = {it["address"]: it["change"]["actions"] for it in world.tracking.plan()["resource_changes"]}
    assert not [address for address in DATA if "delete" in changes[address]]
    before = {container.id for container in world.instances()}
    world.tracking.apply()
    assert world.tracking.plans_nothing()
    wait_for(lambda: not before & {it.id for it in world.instances()}, "the end of the old revision")


def run_job(world: World, name: str) -> None:
    cloud = [sys.executable, "-m", "localcloud", "--home", str(world.home)]
    command = [*cloud, "gcloud", "run", "jobs", "execute", name, "--wait"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr


def experiments(world: World) -> int:
    return httpx.get(f"{world.url}{SEARCH}", headers=world.bearer(), timeout=60).status_code


def test_there_and_back_no_acknowledged_write_is_lost(world: World) -> None:
    with writing(world, f"logins by IAM and back, {world.settings.database.engine}"):
        for login in ("both", "iam"):
            change(world, login)
        inside = {
            name: value
            for container in world.instances()
            for name, _, value in (line.partition("=") for line in container.execute("env").splitlines())
        }
        assert inside["DATABASE_LOGIN"] == "iam"
        assert "@" not in inside["BACKEND_STORE_URI"]
        run_job(world, "mlflow-gc")
        run_job(world, "mlflow-db-upgrade")
        assert json.dumps(world.tracking.state()).count(LOGIN) > 0
        for login in ("both", "password"):
            change(world, login)
    assert experiments(world) == 200
    assert LOGIN not in json.dumps(world.tracking.state())
