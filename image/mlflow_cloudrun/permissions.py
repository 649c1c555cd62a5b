"""The permissions of people, as the variable PERMISSIONS has them; with the standard library only, for the settings."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

VARIABLE = "PERMISSIONS"
DEFAULTS = ("NO_PERMISSIONS", "READ", "EDIT", "MANAGE")


@dataclass(frozen=True, slots=True)
class Permissions:
    """The permissions of people; addresses are in lower case, as identity.py has them.

    Attributes:
        default: What everybody may do with what others made.
        admins: Who may do everything.
        readers: Who may read everything, and change nothing.
    """

    default: str
    admins: frozenset[str]
    readers: frozenset[str]

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Permissions | None":
        """Reads the variable; None where there is none.

        Raises:
            ValueError: It is not what it should be.
        """
        if not (text := environ.get(VARIABLE)):
            return None
        told = cast("dict[str, Any]", json.loads(text))
        if not isinstance(told, dict) or set(told) != {"default", "admins", "readers"}:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError("it must be a JSON object of default, admins and readers")
        if told["default"] not in DEFAULTS:
            raise ValueError(f"default must be one of {', '.join(DEFAULTS)}")
        admins, readers = addresses("admins", told["admins"]), addresses("readers", told["readers"])
        if both := sorted(admins & readers):
            raise ValueError(f"{', '.join(both)} cannot be among admins and readers")
        if not admins:
            raise ValueError("somebody must be among admins")
        return cls(told["default"], admins, readers)


def addresses(name: str, value: object) -> frozenset[str]:
    """Returns a list of addresses as a set.

    Raises:
        ValueError: It is no such list.
    """
    people = cast("list[object]", value) if isinstance(value, list) else [value]
    if not isinstance(value, list) or not all(isinstance(one, str) and "@" in one for one in people):
        raise ValueError(f"{name} must be a list of addresses")
    return frozenset(str(one).lower() for one in people)


@cache
def here() -> Permissions | None:
    """Returns what this process's environment says."""
    return Permissions.of(os.environ)
