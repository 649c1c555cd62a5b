"""Each grant of the document is needed, and for nothing but what is said here."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from harness.world import SEARCH, WRITER
from stacks import addresses
from tests.e2e.browser import visiting
from tests.e2e.calls import DOWNLOAD, OF_THE_SERVER, UPLOAD, Caller
from tests.e2e.programs import run

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from harness.workspace import Workspace
    from harness.world import World

# What fails without a grant that is used while the service runs.
RUN_TIME = {
    addresses.ARTIFACT_VIEWER: {"list artifacts", "show an artifact"},
    addresses.ARTIFACT_WRITERS: {UPLOAD, DOWNLOAD},
    addresses.PUBLIC_INVOKER: OF_THE_SERVER,
}
# What the local cloud's log, as Cloud Run's, names when a grant that is used at the start of an instance is missing.
START_TIME = {
    addresses.accessor_of(addresses.BACKEND_STORE_URI): (
        "Permission denied on secret: projects/123456789012/secrets/mlflow-backend-store-uri"
    ),
    addresses.accessor_of(addresses.OAUTH2_PROXY): (
        "Permission denied on secret: projects/123456789012/secrets/mlflow-oauth2-proxy"
    ),
    addresses.DATABASE_CLIENT: "connect to Cloud SQL instance mlflow-demo:europe-west1:mlflow-db",
}


@pytest.fixture(scope="module")
def caller(world: World) -> Iterator[Caller]:
    trained = run(world, "train.py", "grants", "200")
    with visiting() as visitor:
        visitor.sign_in(world.url, WRITER)
        yield Caller(world=world, visitor=visitor, trained=trained)


@contextmanager
def without(tracking: Workspace, address: str) -> Generator[None]:
    """Takes a resource out of the document, and puts it back in."""
    whole, reduced = tracking.document, tracking.document
    kind, name = address.split(".")
    del reduced["resource"][kind][name]
    if not reduced["resource"][kind]:
        del reduced["resource"][kind]
    for blocks in reduced["resource"].values():
        for block in blocks.values():
            if address in block.get("depends_on", ()):
                block["depends_on"].remove(address)
    try:
        tracking.document = reduced
        tracking.apply()
        yield
    finally:
        tracking.document = whole
        tracking.apply()


def test_with_every_grant_nothing_fails(caller: Caller) -> None:
    assert caller.failing() == set()


@pytest.mark.parametrize("address", RUN_TIME)
def test_without_a_grant_its_calls_fail_and_no_other(caller: Caller, address: str) -> None:
    with without(caller.world.tracking, address):
        assert caller.failing() == RUN_TIME[address]


@pytest.mark.parametrize("address", START_TIME)
def test_without_a_grant_what_runs_goes_on_and_nothing_new_starts(caller: Caller, address: str) -> None:
    world = caller.world
    with without(world.tracking, address):
        assert caller.failing() == set()
        (instance,) = world.instances()
        instance.remove()
        answer = httpx.get(f"{world.url}{SEARCH}", headers=world.bearer(), timeout=60)
        assert answer.status_code == 503
        assert START_TIME[address] in (world.home / "log").read_text()
    assert httpx.get(f"{world.url}{SEARCH}", headers=world.bearer(), timeout=60).is_success
