"""Knows when Terraform has nothing else to do: how "a little late" is made certain.

Google says of its own grants that they take effect some time after the call. A delay by the clock would find a missing
`depends_on` only now and then. Here a late change waits until every call that does not depend on it has been made and
answered, so whatever Terraform started without waiting for it has met the cloud without it, every time.
https://cloud.google.com/iam/docs/access-change-propagation
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIMIT = 60.0  # seconds; two runs that never pause must not block each other for ever


class Traffic:
    """Counts the calls that are being answered."""

    def __init__(self, quiet: float) -> None:
        """Args are in seconds: `quiet` is how long no call may come before nothing else is expected."""
        self._quiet = quiet
        self._changed = threading.Condition()
        self._calls = 0
        self._round = 0  # how often it has been quiet
        self._last = time.monotonic()

    @contextmanager
    def call(self) -> Iterator[None]:
        """One call from Terraform, from its arrival to its answer."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def wait_until_quiet(self) -> None:
        """Called inside a call: returns when no other call is under way and none has come for a while.

        Those that wait return together.
        """
        deadline = time.monotonic() + _LIMIT
        with self._changed:
            self._calls -= 1
            self._changed.notify_all()
            round_ = self._round
            while self._round == round_:
                now = time.monotonic()
                rest = self._last + self._quiet - now
                if (self._calls == 0 and rest <= 0) or now >= deadline:
                    self._round += 1
                    self._changed.notify_all()
                    break
                self._changed.wait(deadline - now if self._calls else rest)
            self._calls += 1

    def _count(self, change: int) -> None:
        with self._changed:
            self._calls += change
            self._last = time.monotonic()
            self._changed.notify_all()
