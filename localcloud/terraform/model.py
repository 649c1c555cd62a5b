"""The words that Terraform and a provider share: values, unknowns, blocks and attributes.

Nothing here knows Google. The type system is Terraform's: https://developer.hashicorp.com/terraform/plugin/terraform-plugin-protocol
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


class Unknown(Enum):
    """The value that Terraform calls "known after apply"."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "(known after apply)"


UNKNOWN = Unknown.UNKNOWN

Value: TypeAlias = "bool | int | float | str | Unknown | list[Value] | dict[str, Value] | None"
Object: TypeAlias = dict[str, Value]

# A type in the JSON form of cty: "string", ["list", "string"], ["object", {"name": "string"}].
# https://github.com/zclconf/go-cty/blob/main/docs/json.md
Type: TypeAlias = "str | list[Type | dict[str, Type]]"


class Nesting(Enum):
    """How often a block may be written, and whether the order counts."""

    SINGLE = "single"
    LIST = "list"
    SET = "set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One argument or exported value of a block."""

    type: Type
    required: bool = False
    optional: bool = False
    computed: bool = False
    sensitive: bool = False
    write_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedBlock:
    """A block inside a block; `max_items` 0 means any number."""

    block: Block
    nesting: Nesting
    min_items: int = 0
    max_items: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """The schema of a resource type, of the provider's own configuration, or of a block in one of them."""

    attributes: dict[str, Attribute] = field(default_factory=dict[str, Attribute])
    blocks: dict[str, NestedBlock] = field(default_factory=dict[str, "NestedBlock"])


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem with a resource, for a person: what is wrong, where, and what to do.

    Attributes:
        summary: one line.
        detail: the rule, the remedy and the page that states the rule.
        path: attribute names and list positions that lead to the value, outermost first.
    """

    summary: str
    detail: str = ""
    path: tuple[str | int, ...] = ()


class Refused(Exception):  # noqa: N818 - the cloud's answer, not a fault of the program
    """The cloud, or the provider, says no; Terraform shows the problems."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.summary for problem in problems))
        self.problems = problems


def at(value: Value, *path: str | int) -> Value:
    """Follows attribute names and list positions; None where the way ends.

    Args:
        value: where to start.
        path: names and positions, outermost first.

    Returns:
        The value there, UNKNOWN if the way passes one, None if there is nothing.
    """
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step] if step < len(value) else None
        else:
            return UNKNOWN if value is UNKNOWN else None
    return value


def text(value: Value, *path: str | int) -> str:
    """The string at a path, or "" where there is none or it is not known yet."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def number(value: Value, *path: str | int) -> float:
    """The number at a path, or 0 where there is none or it is not known yet.

    Terraform sends one that binary fractions only come near to, such as 0.85, as its digits:
    https://github.com/zclconf/go-cty/blob/main/docs/json.md says the same of JSON.
    """
    found = at(value, *path)
    try:
        return float(found) if isinstance(found, int | float | str) else 0.0
    except ValueError:
        return 0.0


def objects(value: Value, *path: str | int) -> list[Object]:
    """The objects of the list at a path; empty where there is none or it is not known yet."""
    found = at(value, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def strings(value: Value, *path: str | int) -> list[str]:
    """The strings of the list at a path; empty where there is none or it is not known yet."""
    found = at(value, *path)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []
