"""A test that hangs fails, whatever it waits for, and the next one runs."""

import subprocess
import sys
import threading

import pytest

from tests.conftest import pytest_runtest_call
from tests.limits import at_most


def wait_for_a_program() -> None:
    subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"], check=True)


def wait_for_a_thread() -> None:
    threading.Event().wait(60)


@pytest.mark.parametrize("hang", [wait_for_a_program, wait_for_a_thread])
def test_what_hangs_fails(hang: object) -> None:
    assert callable(hang)
    with pytest.raises(pytest.fail.Exception, match=r"not done within 0\.2 s"), at_most(0.2):
        hang()


def test_every_test_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.conftest.TEST_S", 0.2)
    running = pytest_runtest_call()
    next(running)
    with pytest.raises(pytest.fail.Exception):
        threading.Event().wait(60)
    with pytest.raises(StopIteration):
        next(running)
