"""A test that hangs fails: signals interrupt what it waits for."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

TEST_S = 15 * 60
FIXTURES_S = 45 * 60
"""An image may be built from nothing, or another process's build be waited for."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fails what has not ended in time; in the main thread only, where pytest runs."""

    def fail(*_: object) -> None:
        pytest.fail(f"not done within {seconds:g} s")

    handler = signal.signal(signal.SIGALRM, fail)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)
