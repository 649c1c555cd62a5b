"""The expression behind each setting of a module, made of its variables."""

import dataclasses
from typing import Final

from stacks import names
from stacks.settings.derived import DERIVED

_RENAMED: Final = {"project.id": "var.project_id", "project.number": "var.project_number"}


def name_of(path: str) -> str:
    """The variable, or the attribute of one, that is a setting: `database.tier`, `project_id`."""
    return given(path).removeprefix("var.")


def given(path: str) -> str:
    """The expression of what the caller gave.

    Args:
        path: The setting, such as `database.tier`.
    """
    return _RENAMED.get(path, f"var.{path}")


def effective(path: str) -> str:
    """The expression of what holds: what the caller gave, or else the default that depends on other variables.

    Args:
        path: The setting, such as `database.high_availability`.
    """
    return f"coalesce({given(path)}, {derived(path)})" if path in DERIVED else given(path)


def derived(path: str) -> str:
    """The expression of a default that depends on other variables."""
    return DERIVED[path].terraform(effective)


def cloud_names() -> names.CloudNames:
    """The names of the resources: what the caller gave, or else what is made from the prefix."""
    fields = (field.name for field in dataclasses.fields(names.CloudNames))
    return names.CloudNames(**{name: f"${{{effective(f'names.{name}')}}}" for name in fields})
