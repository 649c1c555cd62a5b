"""What is tried once for all tests of the module."""

from __future__ import annotations

import pytest

from tests.module.verdicts import Verdict, verdicts


@pytest.fixture(scope="session")
def tried(tmp_path_factory: pytest.TempPathFactory) -> list[Verdict]:
    return verdicts(tmp_path_factory.mktemp("verdicts"))
