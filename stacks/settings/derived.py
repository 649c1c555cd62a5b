"""Defaults that depend on other settings, each said once, for settings files and for the modules' variables."""

import dataclasses
from typing import Final

from stacks import names
from stacks.settings import limits
from stacks.settings.language import Expression, Setting, equal, node, text

IN_PROD: Final = equal(Setting("profile"), "prod")

_BY_PROFILE: Final = {
    "database.high_availability": IN_PROD,
    "database.point_in_time_recovery": IN_PROD,
    "database.retain_backups_on_delete": IN_PROD,
    "database.deletion_protection": IN_PROD,
    "bucket.force_destroy": ~IN_PROD,
    "access.gcloud_tokens": ~IN_PROD,
    "access.adc_tokens": ~IN_PROD,
    "jobs.enabled": IN_PROD,
}

DERIVED: Final[dict[str, Expression]] = {
    "database.version": node(limits.DEFAULT_VERSION)[Setting("database.engine")],
    "bucket.name": text(names.artifacts_bucket("{name}", "{project.id}")),
    **_BY_PROFILE,
    **{f"names.{resource}": text(name) for resource, name in dataclasses.asdict(names.CloudNames.of("{name}")).items()},
}
"""What holds where a setting is not given; the names of resources can be given to the module alone."""


FLAGS: Final = {
    path: (flag.evaluate(lambda _: "dev"), flag.evaluate(lambda _: "prod")) for path, flag in _BY_PROFILE.items()
}
"""The settings whose default is another one with `profile = "prod"`: the defaults in dev and in prod."""
