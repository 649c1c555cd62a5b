"""Waits for conditions, with a deadline."""

import time
from collections.abc import Callable

DEADLINE_S = 30


def wait_for(condition: Callable[[], object], what: str, *, deadline_s: float = DEADLINE_S) -> None:
    """Waits until the condition holds.

    Raises:
        TimeoutError: It did not within the deadline.
    """
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {deadline_s} s")
        time.sleep(0.05)
