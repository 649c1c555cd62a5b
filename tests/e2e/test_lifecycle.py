"""The whole life of an environment, on MySQL: it serves, it is protected as prod is, and it goes without a trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from harness.world import WRITER
from localcloud import daemon
from stacks.settings.derived import FLAGS
from tests.e2e.writer import writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.world import World
    from tests.e2e.conftest import MakeWorld

PROTECTION = {
    path.replace(".", "__").upper(): json.dumps(prod)
    for path, (_, prod) in FLAGS.items()
    if path.endswith(("deletion_protection", "force_destroy"))
}


@pytest.fixture(scope="module")
def world(make_world: MakeWorld) -> Iterator[World]:
    with make_world(DATABASE__ENGINE="mysql") as deployed:
        yield deployed


def put_an_object(world: World) -> None:
    """Uploads an artifact as somebody who may."""
    metadata = f"http://127.0.0.1:{world.facts['ports'][f'metadata of {WRITER}']}"
    path = "/computeMetadata/v1/instance/service-accounts/default/token"
    token = httpx.get(f"{metadata}{path}", headers={"Metadata-Flavor": "Google"}).json()["access_token"]
    bucket = world.tracking.terraform("output", "-raw", "bucket_name").stdout
    url = f"http://127.0.0.1:{world.facts['ports']['storage']}/upload/storage/v1/b/{bucket}/o"
    query = {"uploadType": "media", "name": "notes.txt"}
    httpx.post(url, params=query, headers={"Authorization": f"Bearer {token}"}, content=b"x").raise_for_status()


def test_mysql_keeps_what_was_written_and_the_second_plan_is_empty(world: World) -> None:
    with writing(world, "MySQL") as writer:
        pass
    assert not writer.failures
    assert world.tracking.plans_nothing()


def test_what_prod_protects_refuses_destruction(world: World) -> None:
    assert len(PROTECTION) == 2
    world.synthesize(**PROTECTION)
    world.tracking.apply()
    put_an_object(world)
    before = {*world.tracking.addresses()}
    result = world.tracking.terraform("destroy", "-auto-approve", "-input=false", "-no-color", ok=False)
    assert result.returncode == 1
    assert "Nothing was destroyed: the data are protected." in " ".join(result.stderr.split()), result.stderr
    assert {*world.tracking.addresses()} == before


def test_destroy_leaves_no_container_volume_socket_or_file(world: World) -> None:
    world.synthesize(DATABASE__DELETION_PROTECTION="false", BUCKET__FORCE_DESTROY="true")
    world.tracking.apply()
    world.tracking.destroy()
    assert not world.tracking.addresses()
    label = f"localcloud={daemon.label(world.home)}"
    assert not world.engine.containers(label)
    assert not world.engine.volumes(label)  # data and socket
    for name in ("mounts", "objects"):
        assert not [*(world.home / name).glob("*")]
    assert httpx.get(world.url).status_code == 404
