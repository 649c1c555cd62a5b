"""One world for the tests of a module; tests that break their world make one of their own."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from harness.service import SERVICE_ACCOUNT, SERVICE_URL
from harness.world import World

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from contextlib import AbstractContextManager


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", type=Path, help="keep pictures of the pages in this folder (`make screenshots`)")


class MakeWorld(Protocol):
    """Makes a world and deploys it, for as long as the context lasts."""

    def __call__(self, *options: str, **overrides: str) -> AbstractContextManager[World]: ...


@contextmanager
def _deployed(*options: str, **overrides: str) -> Generator[World]:
    folder = Path(tempfile.mkdtemp(prefix="world-"))
    world = World(folder, *options, **overrides)
    try:
        world.deploy()
        yield world
    finally:
        world.close()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def make_world() -> MakeWorld:
    return _deployed


@pytest.fixture(scope="module")
def world(make_world: MakeWorld) -> Iterator[World]:
    """The demo as it comes, with one instance: more of them are the business of test_instances.py."""
    with make_world(SERVICE__MAX_INSTANCES="1") as deployed:
        yield deployed


@pytest.fixture(scope="session")
def shared_world(make_world: MakeWorld) -> Iterator[World]:
    """One for all tests that change nothing but MLflow's data; it accepts the tokens of the image's tests, too."""
    access = {
        "ACCESS__SERVICE_ACCOUNTS": f'["{SERVICE_ACCOUNT}"]',
        "ACCESS__EXTRA_AUDIENCES": f'["{SERVICE_URL}"]',
        "SERVICE__MAX_INSTANCES": "1",  # the one that is attacked
    }
    with make_world(**access) as deployed:
        yield deployed
