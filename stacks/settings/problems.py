"""The problems of a settings file, in words that help to fix them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HIDDEN: Final = object()
"""Stands for a value that may be a secret, which must not reach a log."""

_SHOWN_LENGTH: Final = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        field: Where, such as `service.memory` or `access.emails.2`.
        value: What stands there, or None when nothing does.
        rule: What must hold.
        remedy: What to do.
        url: The page that the rule comes from.
    """

    field: str
    value: object
    rule: str
    remedy: str
    url: str

    def __str__(self) -> str:
        """The problem as a block of four lines."""
        return (
            f"  {self.field} = {_shown(self.value)}\n"
            f"    must: {self.rule}\n"
            f"    fix:  {self.remedy}\n"
            f"    see:  {self.url}"
        )


class SettingsError(Exception):
    """A settings file that cannot be used; its text lists every problem, or says why the file cannot be read.

    Attributes:
        source: The file, as the user named it.
        problems: All that is wrong with it, in the order of the fields; empty if it cannot be read.
    """

    def __init__(self, source: str, problems: Sequence[Problem] = (), *, unreadable: str = "") -> None:
        self.source = source
        self.problems = tuple(problems)
        if unreadable:
            super().__init__(f"{source} {unreadable}")
            return
        count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        super().__init__("\n\n".join((f"{source}: {count}", *map(str, self.problems))))


def _shown(value: object) -> str:
    if value is None:
        return "(not set)"
    if value is HIDDEN:
        return "(hidden)"
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        text = f"({type(value).__name__}, too large to show)"
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}..."
