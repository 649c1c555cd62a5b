"""What breaks comes back: every acknowledged write is there, and the next request is answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from harness.waiting import wait_for
from harness.world import SEARCH
from localcloud import daemon
from tests.e2e.writer import writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from containers.container import Container
    from harness.world import World
    from tests.e2e.conftest import MakeWorld

IDLE_S = 5


@pytest.fixture(scope="module")
def world(make_world: MakeWorld) -> Iterator[World]:
    # One instance, which is what breaks; more of them are the business of test_instances.py.
    with make_world(f"--idle={IDLE_S}", SERVICE__MAX_INSTANCES="1") as deployed:
        yield deployed


def search(world: World, token: str = "") -> httpx.Response:
    header = {"Authorization": f"Bearer {token or world.token()}"}
    return httpx.get(f"{world.url}{SEARCH}", headers=header, timeout=120)


def database(world: World) -> Container:
    found = world.engine.containers(f"localcloud={daemon.label(world.home)}")
    (server,) = (container for container in found if "localcloud.dialect" in container.labels())
    return server


def test_a_service_without_instances_answers_the_next_request(world: World) -> None:
    wait_for(lambda: not world.instances(), "scale to zero")
    start = time.monotonic()
    assert search(world).status_code == 200
    print(f"answered from zero after {time.monotonic() - start:.1f} s")


def test_a_killed_container_is_replaced_under_load(world: World) -> None:
    with writing(world, "container killed") as writer:
        (killed,) = world.instances()
        killed.signal("KILL")
        writer.goes_on()
        assert killed.id not in {container.id for container in world.instances()}


def test_a_database_that_is_stopped_and_started_is_found_again_under_load(world: World) -> None:
    with writing(world, "database stopped and started") as writer:
        server = database(world)
        server.stop()
        wait_for(lambda: writer.failures, "a refused write")
        world.engine.run("start", server.id)
        writer.goes_on()


def test_a_local_cloud_that_was_killed_takes_its_containers_over(world: World) -> None:
    assert search(world).status_code == 200
    token = world.token()
    with writing(world, "local cloud killed") as writer:
        before = {container.id for container in world.instances()}
        world.kill()
        world.up()
        writer.goes_on()
        assert {container.id for container in world.instances()} == before
    assert search(world, token).status_code == 200
    assert world.tracking.plans_nothing()


def test_after_a_reboot_everything_comes_back_with_its_data(world: World) -> None:
    with writing(world, "machine rebooted") as writer:
        world.kill()
        for container in [*world.instances(), database(world)]:
            container.signal("KILL")
        world.up()
        writer.goes_on()


def test_down_clears_what_a_killed_local_cloud_left_but_its_data(world: World) -> None:
    label = f"localcloud={daemon.label(world.home)}"
    world.kill()
    daemon.stop(world.home)
    assert not world.engine.containers(label)
    volumes = world.engine.volumes(label)
    assert volumes
    world.up()
    assert search(world).status_code == 200
    assert world.engine.volumes(label) == volumes
