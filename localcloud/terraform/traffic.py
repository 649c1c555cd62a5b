"""Knows when Terraform has nothing else to do: how "a little late" is made certain.

Google says of its own grants that they take effect some time after the call. A delay by the clock would find a missing
`depends_on` only now and then. Here late changes wait until every call that does not depend on any of them has been
made and answered, and one of them, chosen by chance or by name, waits longer than the others. Whatever Terraform
started without waiting for that one has then met the cloud without it, every time.
https://cloud.google.com/iam/docs/access-change-propagation
"""

from __future__ import annotations

import random
import re
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

_LIMIT = 60.0  # seconds; two runs that never pause must not block each other for ever


class Traffic:
    """Counts the calls that are being answered, and holds late changes back."""

    def __init__(self, quiet: float, late: str = "") -> None:
        """Makes a counter.

        Args:
            quiet: how many seconds no call may come before nothing else is expected.
            late: a regular expression for the changes that are held back longest; "" leaves that to chance.
        """
        self._quiet = quiet
        self._late = late
        self._changed = threading.Condition()
        self._calls = 0
        self._last = time.monotonic()
        self._waiting: dict[object, str] = {}  # each change under a ticket of its own

    @contextmanager
    def call(self) -> Generator[None]:
        """One call from Terraform, from its arrival to its answer."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def wait_until_quiet(self, change: str) -> None:
        """Called inside a call: returns when no other call is under way and none has come for a while.

        Args:
            change: what will happen then.
        """
        deadline = time.monotonic() + _LIMIT
        with self._changed:
            self._calls -= 1
            ticket = object()
            self._waiting[ticket] = change
            self._changed.notify_all()
            while ticket in self._waiting:
                now = time.monotonic()
                rest = self._last + self._quiet - now
                if (self._calls == 0 and rest <= 0) or now >= deadline:
                    self._let_go(now)
                else:
                    self._changed.wait(deadline - now if self._calls else rest)

    def _let_go(self, now: float) -> None:
        """Ends the waiting of all changes but one: that one comes after everything that waits for the others alone."""
        chosen = [ticket for ticket, change in self._waiting.items() if self._late and re.search(self._late, change)]
        held = chosen or [random.choice(list(self._waiting))]  # noqa: S311 - no secret
        if len(held) == len(self._waiting):
            held = []
        self._calls += len(self._waiting) - len(held)
        self._waiting = {ticket: self._waiting[ticket] for ticket in held}
        self._last = now
        self._changed.notify_all()

    def _count(self, change: int) -> None:
        with self._changed:
            self._calls += change
            self._last = time.monotonic()
            self._changed.notify_all()
