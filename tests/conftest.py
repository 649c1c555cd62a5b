"""What every test needs: the provider bindings, made lazy before anything imports cdktf, and an end to waiting."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

from stacks import bindings
from tests.limits import FIXTURES_S, TEST_S, at_most

bindings.install(os.environ)

_TESTS: Final = Path(__file__).parent
_MEASURE: Final = "COVERAGE_PROCESS_CONFIG"
"""Set by coverage, for programs to be measured: https://coverage.readthedocs.io/en/latest/subprocess.html"""
_UNMEASURED: Final = {"client", "e2e", "image", "policies"}
"""Rooms whose programs are not measured: MLflow's clients, checkov, whole clouds, each slower by up to a half."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones begin first, lest one of them runs alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with pytest.MonkeyPatch.context() as environment:
        if item.path.relative_to(_TESTS).parts[0] in _UNMEASURED:
            environment.delenv(_MEASURE, raising=False)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    with at_most(FIXTURES_S):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    with at_most(TEST_S):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    with at_most(FIXTURES_S):
        return (yield)
