"""Breaks one operation on purpose, to show that the next apply heals it.

`--fault error-before:3` refuses the third operation before it does anything, `error-after:3` does it and then says that it
failed (an answer lost on the way), `kill:3` does it and ends the provider with SIGKILL before the answer.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass, field

from localcloud.model import Problem, Refused

KINDS = ("error-before", "error-after", "kill")


@dataclass(slots=True)
class Fault:
    """A fault at the `number`th create, update or delete that reaches the cloud, counted from 1; 0 is never."""

    kind: str = KINDS[0]
    number: int = 0
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Reads `KIND:NUMBER`.

        Raises:
            ValueError: it has another form.
        """
        kind, _, number = text.partition(":")
        if kind not in KINDS or not number.isdigit():
            raise ValueError(f"a fault is one of {', '.join(KINDS)}, a colon and a number, not {text!r}")
        return cls(kind, int(number))

    def count(self) -> bool:
        """Counts an operation; True for the one that is to fail."""
        with self._lock:
            self._count += 1
            return self._count == self.number

    def before(self, operation: str, *, hit: bool) -> None:
        """Fails the chosen operation before it does anything."""
        if hit and self.kind == "error-before":
            raise Refused(Problem(f"Injected fault before {operation}", "Nothing was done. Apply again."))

    def after(self, operation: str, *, hit: bool) -> None:
        """Fails the chosen operation after it was done."""
        if hit and self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if hit and self.kind == "error-after":
            raise Refused(Problem(f"Injected fault after {operation}", "It was done all the same. Apply again."))
