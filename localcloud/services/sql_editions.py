"""The limits and defaults of the editions of Cloud SQL: https://cloud.google.com/sql/docs/postgres/editions-intro."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.terraform.model import Object, Problem, Refused, at, text

if TYPE_CHECKING:
    from localcloud.terraform.model import Value

_BACKUPS = ("settings", 0, "backup_configuration", 0)
_PLUS_TIERS = ("db-perf-optimized-", "db-c4a-highmem-")
_NEWEST_ENTERPRISE = 15  # of PostgreSQL; later ones are Enterprise Plus unless the edition is set


def edition(instance: Object) -> str:
    """The edition that an instance has: https://cloud.google.com/sql/docs/postgres/editions-intro."""
    kind, _, number = text(instance, "database_version").partition("_")
    newer = int(number.partition("_")[0]) > _NEWEST_ENTERPRISE if kind == "POSTGRES" else number >= "8_4"
    return text(instance, "settings", 0, "edition") or ("ENTERPRISE_PLUS" if newer else "ENTERPRISE")


def is_plus(instance: Object) -> bool:
    """Whether it is Enterprise Plus."""
    return edition(instance) == "ENTERPRISE_PLUS"


def retention(instance: Object) -> Value:
    """How many backups are kept where nobody says so."""
    return [{"retained_backups": 15 if is_plus(instance) else 7, "retention_unit": "COUNT"}]


def log_days(instance: Object) -> int:
    """For how many days logs are kept where nobody says so."""
    return 14 if is_plus(instance) else 7


def keeps_log(instance: Object) -> bool:
    """Whether an instance can be brought to a point in time: https://cloud.google.com/sql/docs/postgres/backup-recovery/pitr."""
    return at(instance, *_BACKUPS, "enabled") is True and at(instance, *_BACKUPS, recovery_switch(instance)) is True


def recovery_switch(instance: Object) -> str:
    """The attribute of backup_configuration that turns recovery to a point in time on."""
    return "binary_log_enabled" if is_mysql(instance) else "point_in_time_recovery_enabled"


def is_mysql(instance: Object) -> bool:
    """Whether it is MySQL."""
    return text(instance, "database_version").startswith("MYSQL_")


def check(instance: Object) -> None:
    """Refuses what Google refuses of an instance by itself.

    Raises:
        Refused: in its words.
    """
    name, tier = edition(instance), text(instance, "settings", 0, "tier")
    if is_plus(instance) != tier.startswith(_PLUS_TIERS):
        raise _invalid(
            f"Invalid request: Invalid Tier ({tier}) for ({name}) Edition.",
            "Set settings.edition and a tier of it: https://cloud.google.com/sql/docs/postgres/editions-intro",
        )
    recovery = at(instance, *_BACKUPS, recovery_switch(instance)) is True
    if is_mysql(instance) and text(instance, "settings", 0, "availability_type") == "REGIONAL" and not recovery:
        raise _invalid(
            "Invalid flag for instance role: MySQL HA non-replica instances need to have binary logging enabled.",
            "Set backup_configuration.binary_log_enabled: https://cloud.google.com/sql/docs/mysql/high-availability",
        )
    said, most = at(instance, *_BACKUPS, "transaction_log_retention_days"), 35 if is_plus(instance) else 7
    days = said if isinstance(said, int | float) else log_days(instance)
    if not 1 <= days <= most:
        raise _invalid(
            f"Invalid request: The number of transaction log retention days must be between 1 and {most}.",
            f"{name} keeps logs for so long: https://cloud.google.com/sql/docs/postgres/backup-recovery/pitr",
        )
    backups = at(instance, *_BACKUPS, "backup_retention_settings", 0, "retained_backups")
    if recovery and isinstance(backups, int | float) and backups < days:
        raise _invalid(
            "Invalid request: backup retention should be > transaction log retention.",
            f"{backups:g} backups are kept, and {days:g} days of logs: lower "
            "backup_configuration.transaction_log_retention_days, or keep more backups. "
            "https://cloud.google.com/sql/docs/postgres/backup-recovery/pitr",
        )


def _invalid(message: str, remedy: str) -> Refused:
    return Refused(Problem(f"googleapi: Error 400: {message}, invalid", remedy, ("settings",)))
