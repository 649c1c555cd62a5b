"""What one field takes and refuses, and the rows that several fields share."""

from dataclasses import dataclass, field
from typing import Final

from tests.settings.files import Table


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one field takes and refuses.

    Attributes:
        good: Values that are accepted, the outermost ones first.
        bad: Values that the field's rule refuses, the nearest ones first.
        beside: Other fields that must be set for the good ones to pass the rules between fields.
    """

    good: tuple[object, ...]
    bad: tuple[object, ...]
    beside: Table = field(default_factory=dict)


def each(*values: str) -> tuple[list[str], ...]:
    """Every value as the only entry of a list."""
    return tuple([value] for value in values)


def by_name(*values: str) -> tuple[dict[str, str], ...]:
    """Every value as the only entry of a map."""
    return tuple({"it": value} for value in values)


FLAG: Final = Row(good=(True, False), bad=("true", 1))
ROTATION: Final = Row(good=(1, 1_000_000), bad=(0, 1_000_001, -1, 0xFFFF_FFFF_FFFF_FFFF_FFFF))
DEPENDENT_FLAG: Final = Row(good=(True,), bad=("yes", 0), beside={"database.point_in_time_recovery": True})
