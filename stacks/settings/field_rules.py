r"""Rules of single fields, each in Python, for settings files, and in Terraform's language, for variables.

Patterns are written in the common subset of Python's `re` and Terraform's RE2 (no look-around, no back-references), and
may name Unicode's categories as RE2 does: `\p{Ll}` in a set.
"""

import re
import unicodedata
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from stacks.hcl import literal

_Value = TypeVar("_Value")

RULE_BROKEN = "rule_broken"
"""The pydantic error type of a value that breaks one of these rules."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule(ABC):
    """A condition on a value, the remedy where it is not met, and the page that it comes from.

    Attributes:
        hidden: Whether a value that breaks the rule may be a secret, which must not reach a log.
    """

    rule: str
    remedy: str
    url: str
    hidden: bool = False

    @abstractmethod
    def __call__(self, value: Any) -> Any:  # noqa: ANN401 - of the field's type
        """Returns the value, or raises `refuse()`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        """Lets a rule stand in the annotation of its field: `Annotated[int, Range(...)]`."""
        return core_schema.no_info_after_validator_function(self, handler(source))

    @abstractmethod
    def condition(self, value: str) -> str:
        """The rule in Terraform's language.

        Args:
            value: The expression of the value.
        """

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
        if re.fullmatch(_in_python(self.regex, value), value) is None or (
            self.unless and re.fullmatch(self.unless, value)
        ):
            raise self.refuse()
        return value

    def condition(self, value: str) -> str:
        """Returns the condition."""
        matches = f"can(regex({literal(_anchored(self.regex))}, {value}))"
        if self.unless:
            matches += f" && !can(regex({literal(_anchored(self.unless))}, {value}))"
        return f"contains({literal(list(self.always))}, {value}) || {matches}" if self.always else matches


def _anchored(regex: str) -> str:
    # `$` is the end of the text and no line before it: https://github.com/google/re2/wiki/Syntax
    return f"^(?:{regex})$"


def _in_python(regex: str, value: str) -> str:
    r"""The pattern with ASCII's and the value's characters for each `\p{CATEGORY}`, which Python does not know."""
    characters = {*map(chr, range(0x80)), *value}

    def of_category(found: re.Match[str]) -> str:
        return "".join(sorted(one for one in characters if unicodedata.category(one).startswith(found[1])))

    return re.sub(r"\\p\{(\w+)\}", of_category, regex)


@dataclass(frozen=True, kw_only=True, slots=True)
class AtMostBytes(Rule):
    """A string has no more than `count` bytes in UTF-8."""

    count: int

    def __call__(self, value: str) -> str:
        """Returns the value, or raises `refuse()`."""
        if len(value.encode(errors="surrogatepass")) > self.count:
            raise self.refuse()
        return value

    def condition(self, value: str) -> str:
        """Returns the condition; Terraform's length counts characters, so that each becomes a letter a byte."""
        for first, last, count in ((0x80, 0x7FF, 2), (0x800, 0xFFFF, 3), (0x10000, 0x10FFFF, 4)):
            value = f'replace({value}, "/[\\\\x{{{first:x}}}-\\\\x{{{last:x}}}]/", "{"a" * count}")'
        return f"length({value}) <= {self.count}"


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

    def condition(self, value: str) -> str:
        """Returns the condition; a number of Terraform's may have a fraction."""
        exception = "" if self.exception is None else f"{value} == {self.exception} || "
        return f"floor({value}) == {value} && ({exception}{value} >= {self.minimum} && {value} <= {self.maximum})"


@dataclass(frozen=True, kw_only=True, slots=True)
class OneOf(Rule):
    """A string is one of a few."""

    values: tuple[str, ...]

    def __call__(self, value: str) -> str:
        """Returns the value, or raises `refuse()`."""
        if value not in self.values:
            raise self.refuse()
        return value

    def condition(self, value: str) -> str:
        """Returns the condition."""
        return f"contains({literal(list(self.values))}, {value})"


@dataclass(frozen=True, kw_only=True, slots=True)
class AtMost(Rule):
    """A map or list has no more than `count` entries."""

    count: int

    def __call__(self, value: _Value) -> _Value:
        """Returns the value, or raises `refuse()`."""
        if len(value) > self.count:  # type: ignore[arg-type]
            raise self.refuse()
        return value

    def condition(self, value: str) -> str:
        """Returns the condition."""
        return f"length({value}) <= {self.count}"
