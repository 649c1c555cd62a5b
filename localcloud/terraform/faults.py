"""Breaks one operation on purpose, to show that the next apply heals it.

An operation is called as the log calls it, `create google_storage_bucket acme-models`. `error-before:OPERATION` refuses
it before it does anything, `error-after:OPERATION` does it and then says that it failed (an answer lost on the way),
and `kill:OPERATION` does it and ends the provider with SIGKILL before the answer.
"""

from __future__ import annotations

import argparse
import os
import signal
from dataclasses import dataclass

from localcloud.terraform.model import Problem, Refused

KINDS = ("error-before", "error-after", "kill")


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one kind at one operation; the default never happens."""

    kind: str = KINDS[0]
    operation: str = ""

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Reads `KIND:OPERATION`.

        Raises:
            argparse.ArgumentTypeError: there is no such kind.
        """
        kind, _, operation = text.partition(":")
        if kind not in KINDS:
            raise argparse.ArgumentTypeError(
                f"a fault is one of {', '.join(KINDS)}, a colon and an operation, not {text!r}"
            )
        return cls(kind, operation)

    def __str__(self) -> str:
        return f"{self.kind}:{self.operation}"

    def before(self, operation: str) -> None:
        """Called before every operation.

        Raises:
            Refused: this is the one that is to fail.
        """
        if (self.kind, self.operation) == ("error-before", operation):
            raise Refused(Problem(f"Injected fault before: {operation}", "Nothing was done. Apply again."))

    def after(self, operation: str) -> None:
        """Called after every operation, before its answer.

        Raises:
            Refused: this is the one that is to fail.
        """
        if operation == self.operation and self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if operation == self.operation and self.kind == "error-after":
            raise Refused(Problem(f"Injected fault after: {operation}", "It was done all the same. Apply again."))
