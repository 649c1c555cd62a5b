"""The functions of the rules' language, each in Python and in Terraform's."""

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final


class Silent(Exception):  # noqa: N818 - no error: a rule that cannot be evaluated has nothing to say
    """The value that an expression reads is not available."""


def _concat(*lists: Iterable[Any]) -> list[Any]:
    return [value for values in lists for value in values]


def _reached(rows: Sequence[tuple[int, Any]], number: int) -> Any:  # noqa: ANN401
    return next(value for least, value in rows if number >= least)


def _groups(pattern: str, text: str) -> list[int]:
    found = re.search(pattern, text)
    if found is None:
        raise Silent
    return [int(group) for group in found.groups()]


def _around(bounds: Mapping[str, tuple[int, int]], number: int) -> list[str]:
    return [key for key, (least, most) in bounds.items() if least <= number <= most]


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def _and(one: bool, other: bool) -> bool:  # noqa: FBT001
    return one and other


def _or(one: bool, other: bool) -> bool:  # noqa: FBT001
    return one or other


def _divide(one: int, other: int) -> float:
    return one / other


def _common(one: Iterable[str], other: Iterable[str]) -> list[str]:
    return sorted({value.lower() for value in one} & {value.lower() for value in other})


def _listed(lists: Mapping[str, Iterable[Any]]) -> list[Any]:
    return [value for key in sorted(lists) for value in lists[key]]


def _last(values: Sequence[Any]) -> Any:  # noqa: ANN401
    return values[-1]


FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], str]]] = {
    "<=": (operator.le, "({} <= {})"),
    "<": (operator.lt, "({} < {})"),
    "==": (operator.eq, "({} == {})"),
    "+": (operator.add, "({} + {})"),
    "-": (operator.sub, "({} - {})"),
    "*": (operator.mul, "({} * {})"),
    "/": (_divide, "({} / {})"),
    "%": (operator.mod, "({} % {})"),
    "&&": (_and, "({} && {})"),
    "||": (_or, "({} || {})"),
    "!": (operator.not_, "!{}"),
    "at": (operator.getitem, "{}[{}]"),
    "last": (_last, "reverse({})[0]"),
    "length": (len, "length({})"),
    "ceil": (math.ceil, "ceil({})"),
    "floor": (math.floor, "floor({})"),
    "max": (max, "max({}, {})"),
    "concat": (_concat, "concat({}, {}, {}, {})"),
    # What two lists have in common, in any case.
    "common": (_common, "setintersection([for one in {} : lower(one)], [for one in {} : lower(one)])"),
    # What is in any of the lists of a map.
    "listed": (_listed, "flatten(values({}))"),
    "contains": (operator.contains, "contains({}, {})"),
    "join": (str.join, "join({}, {})"),
    "has": (operator.contains, "strcontains({}, {})"),
    "starts": (str.startswith, "startswith({}, {})"),
    "ends": (str.endswith, "endswith({}, {})"),
    "matches": (_matches, "can(regex({}, {}))"),
    # The numbers that a pattern's groups match.
    "groups": (_groups, "[for group in regex({}, {}) : tonumber(group)]"),
    # Of rows (least number, value), the value of the first that a number reaches.
    "reached": (_reached, "[for row in {0} : row[1] if {1} >= row[0]][0]"),
    # The keys of the bounds (least, most) between which a number lies.
    "around": (_around, "[for key, bounds in {0} : key if {1} >= bounds[0] && {1} <= bounds[1]]"),
}
"""By name: a function of values, which may raise Silent or LookupError, and its call in Terraform's language
(https://developer.hashicorp.com/terraform/language/functions)."""
