"""The permissions of people, as the variable PERMISSIONS has them; with the standard library only, for the settings."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

VARIABLE = "PERMISSIONS"
DEFAULTS = ("NO_PERMISSIONS", "READ", "EDIT", "MANAGE")
FIELDS = {"default", "admins", "readers", "teams"}
# As MLflow has it for workspaces, in mlflow.store.workspace.abstract_store; "default" is everybody's.
TEAM = r"[a-z0-9][a-z0-9-]{0,61}[a-z0-9]"
NO_TEAMS = ("default", "workspaces", "api", "ajax-api", "static-files")


@dataclass(frozen=True, slots=True)
class Permissions:
    """The permissions of people; addresses are in lower case, as identity.py has them.

    Attributes:
        default: What everybody may do with what others made.
        admins: Who may do everything.
        readers: Who may read everything, and change nothing.
        teams: Who may do everything in a team's workspace, by the team's name.
    """

    default: str
    admins: frozenset[str]
    readers: frozenset[str]
    teams: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Permissions | None":
        """Reads the variable; None where there is none.

        Raises:
            ValueError: It is not what it should be.
        """
        if not (text := environ.get(VARIABLE)):
            return None
        told = cast("dict[str, Any]", json.loads(text))
        if not isinstance(told, dict) or set(told) != FIELDS:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError("it must be a JSON object of default, admins, readers and teams")
        if told["default"] not in DEFAULTS:
            raise ValueError(f"default must be one of {', '.join(DEFAULTS)}")
        admins, readers = addresses("admins", told["admins"]), addresses("readers", told["readers"])
        if both := sorted(admins & readers):
            raise ValueError(f"{', '.join(both)} cannot be among admins and readers")
        if not admins:
            raise ValueError("somebody must be among admins")
        teams = members(told["teams"])
        if both := sorted(readers.intersection(frozenset[str]().union(*teams.values()))):
            raise ValueError(f"{', '.join(both)} cannot be among readers and in a team")
        return cls(told["default"], admins, readers, teams)

    def may_enter(self, email: str, team: str) -> bool:
        """Returns whether somebody may name the workspace of a team; what is allowed there is another question."""
        return team in self.teams and email in self.admins | self.readers | self.teams[team]


def members(value: object) -> dict[str, frozenset[str]]:
    """Returns the people of each team.

    Raises:
        ValueError: A name cannot be that of a workspace, or somebody has no address.
    """
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004  one kind of error for what is wrong with it
            "teams must be an object of lists of addresses"
        )
    teams = {
        str(name): addresses(f"teams.{name}", people) for name, people in cast("dict[object, object]", value).items()
    }
    for name in teams:
        if not re.fullmatch(TEAM, name) or name in NO_TEAMS:
            raise ValueError(f"{name} cannot be a team's name")
    return teams


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
