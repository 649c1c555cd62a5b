"""Programs: a bearer token and nothing else."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest

from harness.clients import build_wheel, installed
from harness.world import READER, SEARCH, WRITER
from tests.e2e.programs import finished, start

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from harness.world import World

ONE_RUN = """
import mlflow

mlflow.set_experiment("client package")
with mlflow.start_run() as run:
    mlflow.log_metric("loss", 0.1)
found = mlflow.get_run(run.info.run_id)
print(found.info.status, "by", found.data.tags["mlflow.user"])
"""


def test_curl_with_an_identity_token_gets_json(shared_world: World) -> None:
    header = f"Authorization: Bearer {shared_world.token()}"
    answer = subprocess.run(
        ["curl", "--silent", "--fail", "--config", "-", f"{shared_world.url}{SEARCH}"],
        input=f'header = "{header}"\n',
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"experiments"' in answer.stdout


def test_a_program_with_the_client_package_needs_no_token(shared_world: World, tmp_path: Path) -> None:
    python = installed(tmp_path / "venv", build_wheel(tmp_path / "wheel"), "mlflow-skinny==3.17.2")
    variables = {**shared_world.client_environment(), "MLFLOW_TRACKING_AUTH": "google", "HOME": str(tmp_path)}
    del variables["MLFLOW_TRACKING_TOKEN"]
    doctor = subprocess.run(
        [str(python.with_name("mlflow-google")), "doctor"], env=variables, capture_output=True, text=True, check=False
    )
    assert "lets you in" in doctor.stdout, doctor.stdout + doctor.stderr
    done = subprocess.run([str(python), "-c", ONE_RUN], env=variables, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == [f"FINISHED by {WRITER}"], done.stderr


@pytest.fixture(scope="module")
def trainings(shared_world: World) -> list[dict[str, Any]]:
    """Two at once."""
    running = [start(shared_world, "train.py", "forests", "7500") for _ in range(2)]
    return [finished(training) for training in running]


def test_two_trainings_at_once_log_register_and_load_a_model_each(trainings: list[dict[str, Any]]) -> None:
    assert len({training["run_id"] for training in trainings}) == 2
    assert len({training["version"] for training in trainings}) == 2


def test_a_model_of_50_mb_is_in_the_bucket_and_open_to_its_writers_alone(
    shared_world: World, trainings: list[dict[str, Any]]
) -> None:
    bucket, _, folder = trainings[0]["model"].removeprefix("gs://").partition("/")
    objects = f"{shared_world.storage}/storage/v1/b/{bucket}/o"
    asked = httpx.get(objects, params={"prefix": folder}, headers=shared_world.google_bearer(WRITER))
    sizes = [int(item["size"]) for item in asked.raise_for_status().json()["items"]]
    assert sum(sizes) > 50_000_000
    assert httpx.get(objects, headers=shared_world.google_bearer(READER)).status_code == 403
    assert httpx.get(objects).status_code == 401


def test_the_second_plan_is_empty(shared_world: World) -> None:
    assert shared_world.tracking.plans_nothing()
