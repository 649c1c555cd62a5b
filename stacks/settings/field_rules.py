"""Rules of single fields, as data: a settings file is held against them, and a Terraform variable can be, too.

Patterns are written in the common subset of Python's `re` and Terraform's RE2 (no look-around, no back-references).
"""

import re
from dataclasses import dataclass
from typing import TypeVar

from pydantic_core import PydanticCustomError

_Value = TypeVar("_Value")

RULE_BROKEN = "rule_broken"
"""The pydantic error type of a value that breaks one of these rules."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What must hold for a value, what to do otherwise, and the page that says so.

    Attributes:
        hidden: Whether a value that breaks the rule may be a secret, which must not reach a log.
    """

    rule: str
    remedy: str
    url: str
    hidden: bool = False

    def refuse(self) -> PydanticCustomError:
        """The error for a value that breaks the rule."""
        return PydanticCustomError(
            RULE_BROKEN, "{rule}", {"rule": self.rule, "remedy": self.remedy, "url": self.url, "hidden": self.hidden}
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern(Rule):
    """A string matches `regex` from end to end, and not `unless` where that is given; `always` names the exceptions."""

    regex: str
    unless: str | None = None
    always: tuple[str, ...] = ()

    def __call__(self, value: str) -> str:
        """Returns the value, or raises `refuse()`."""
        if value in self.always:
            return value
        if re.fullmatch(self.regex, value) is None or (self.unless and re.fullmatch(self.unless, value)):
            raise self.refuse()
        return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Range(Rule):
    """A number lies between two bounds, both included, or is the one exception."""

    minimum: int
    maximum: int
    exception: int | None = None

    def __call__(self, value: int) -> int:
        """Returns the value, or raises `refuse()`."""
        if value != self.exception and not self.minimum <= value <= self.maximum:
            raise self.refuse()
        return value


@dataclass(frozen=True, kw_only=True, slots=True)
class OneOf(Rule):
    """A string is one of a few."""

    values: tuple[str, ...]

    def __call__(self, value: str) -> str:
        """Returns the value, or raises `refuse()`."""
        if value not in self.values:
            raise self.refuse()
        return value


@dataclass(frozen=True, kw_only=True, slots=True)
class AtMost(Rule):
    """A map or list has no more than `count` entries."""

    count: int

    def __call__(self, value: _Value) -> _Value:
        """Returns the value, or raises `refuse()`."""
        if len(value) > self.count:  # type: ignore[arg-type]
            raise self.refuse()
        return value
