"""What is tried once for all tests of the module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.module.clouds import prepare
from tests.module.verdicts import Verdict, verdicts

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def tried(tmp_path_factory: pytest.TempPathFactory) -> list[Verdict]:
    return verdicts(tmp_path_factory.mktemp("verdicts"))


@pytest.fixture(scope="session")
def enabled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a local cloud in which the APIs are on."""
    folder = tmp_path_factory.mktemp("enabled")
    prepare(folder / "cloud", folder, "apis")
    return folder / "cloud"
