"""The start-up failure of the article that this project began with, beside what the stack does about it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from harness.waiting import wait_for
from harness.world import SEARCH

if TYPE_CHECKING:
    from harness.world import World

QUIET_S = 15
# As many copies of the article start: the proxy's port is open long before MLflow answers.
START = """#!/usr/bin/env bash
source /opt/image/start.sh
check_environment serve
start_mlflow
start_proxy
wait_until_proxy_listens
start_edge
wait -n
"""
DOCKERFILE = """FROM {image}
COPY start.sh /opt/
ENTRYPOINT ["/usr/bin/tini", "-g", "--", "bash", "/opt/start.sh"]
"""


def search(world: World) -> httpx.Response:
    return httpx.get(f"{world.url}{SEARCH}", headers=world.bearer(), timeout=60)


def test_the_stack_is_ready_when_mlflow_is_and_works_between_requests(world: World) -> None:
    assert search(world).status_code == 200  # the first request of all
    under_way = search(world).elapsed.total_seconds()
    (container,) = world.instances()
    before = container.cpu_seconds()
    time.sleep(QUIET_S)
    assert container.cpu_seconds() > before
    after = search(world)
    assert after.status_code == 200
    print(f"answered in {under_way:.3f} s, after {QUIET_S} s of quiet in {after.elapsed.total_seconds():.3f} s")


@pytest.mark.rehearsal
def test_the_articles_order_on_request_only_cpu_is_ready_and_never_answers(world: World) -> None:
    name = f"{world.image.rpartition(':')[0]}:article"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "start.sh").write_text(START)
        Path(folder, "Dockerfile").write_text(DOCKERFILE.format(image=world.image))
        world.engine.build(Path(folder), name, arguments={}, pull=False)
    document = world.tracking.document
    (container,) = document["resource"]["google_cloud_run_v2_service"]["tracking"]["template"]["containers"]
    container["image"] = name
    container["resources"]["cpu_idle"] = True
    world.tracking.document = document
    old = {container.id for container in world.instances()}
    world.tracking.apply()  # ready, says Cloud Run
    wait_for(lambda: not old & {it.id for it in world.instances()}, "the end of the old revision")
    (article,) = world.instances()
    wait_for(lambda: article.state()["Paused"], "CPU taken away")
    used = article.cpu_seconds()
    end = time.monotonic() + QUIET_S
    while time.monotonic() < end:
        assert search(world).status_code == 502
        time.sleep(1)
    print(f"{QUIET_S} s after it was ready: 502 each time; CPU used: {article.cpu_seconds() - used:.2f} s")
    wait_for(lambda: article.state()["Paused"], "CPU taken away")
