"""What every test needs: the provider bindings, made lazy before anything imports cdktf, and an end to waiting."""

import os
from collections.abc import Generator

import pytest

from stacks import bindings
from tests.limits import FIXTURES_S, TEST_S, at_most

bindings.install(os.environ)


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
