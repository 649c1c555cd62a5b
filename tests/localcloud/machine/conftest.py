"""A Cloud Storage of each test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.buckets import Place, two_buckets
from localcloud.machine.identity import IdentityProvider
from localcloud.machine.storage import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def running_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    store = ObjectStore(tmp_path_factory.mktemp("objects"))
    store.start()
    yield store
    store.stop()


@pytest.fixture(scope="module")
def identity() -> IdentityProvider:
    return IdentityProvider(clients={}.get)


@pytest.fixture
def place(tmp_path: Path, identity: IdentityProvider, running_store: ObjectStore) -> Iterator[Place]:
    with two_buckets(tmp_path / "cloud", identity, running_store) as made:
        yield made
