"""What every test needs: the provider bindings, made lazy before anything imports cdktf, and an end to waiting."""

import os
from collections.abc import Generator

import pytest

from stacks import bindings
from tests.limits import FIXTURES_S, TEST_S, at_most

bindings.install(os.environ)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones begin first, lest one of them runs alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


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
