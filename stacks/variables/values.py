"""What a module makes of its variables: the expression behind each setting."""

import dataclasses
from typing import Final

from stacks import names
from stacks.settings.limits import DEFAULT_VERSION
from stacks.settings.model import PROD_DEFAULTS
from stacks.variables.language import literal

_RENAMED: Final = {"project.id": "var.project_id", "project.number": "var.project_number"}


def cloud_names() -> names.CloudNames:
    """The names of the resources: what the caller gave, or else what is made from the prefix."""
    derived = dataclasses.asdict(names.CloudNames.of("${var.name}"))
    return names.CloudNames(**{key: f'${{coalesce(var.names.{key}, "{name}")}}' for key, name in derived.items()})


def name_of(path: str) -> str:
    """The variable, or the attribute of one, that is a setting: `database.tier`, `project_id`."""
    return variable(path).removeprefix("var.")


def variable(path: str) -> str:
    """The expression of what the caller gave.

    Args:
        path: The setting, such as `database.tier`.
    """
    return _RENAMED.get(path, f"var.{path}")


def value(path: str) -> str:
    """The expression of what holds: what the caller gave, or else the default that depends on other variables.

    Args:
        path: The setting, such as `database.high_availability`.
    """
    given = variable(path)
    section, _, field = path.partition(".")
    if path == "database.version":
        return f"coalesce({given}, {literal(DEFAULT_VERSION)}[var.database.engine])"
    if path == "bucket.name":
        return f'coalesce({given}, "{names.artifacts_bucket("${var.name}", "${var.project_id}")}")'
    if field in PROD_DEFAULTS.get(section, {}):
        # Those are flags, each the other way round in dev.
        return f'coalesce({given}, var.profile {"==" if PROD_DEFAULTS[section][field] else "!="} "prod")'
    return given
