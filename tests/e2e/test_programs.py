"""Programs: a bearer token and nothing else."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.programs import finished, start
from tests.e2e.world import READER, SEARCH, WRITER

if TYPE_CHECKING:
    from typing import Any

    from tests.e2e.world import World


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
