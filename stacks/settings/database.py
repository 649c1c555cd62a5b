"""The `[database]` section: Cloud SQL."""

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from stacks.settings.field_rules import OneOf, Pattern, Range
from stacks.settings.section import Section

_SQL_DOCS: Final = "https://cloud.google.com/sql/docs"

Engine: TypeAlias = Annotated[
    str,
    OneOf(
        values=("postgresql", "mysql"),
        rule='the engine is "postgresql" or "mysql"',
        remedy='write "postgresql"; MLflow supports others, Cloud SQL and this project do not',
        url="https://mlflow.org/docs/latest/self-hosting/architecture/backend-store/",
    ),
]
Tier: TypeAlias = Annotated[
    str,
    Pattern(
        regex=r"db-f1-micro|db-g1-small|db-custom-(1|[2468]|[1-9][02468])-[1-9][0-9]{3,5}",
        rule="a tier of the Enterprise edition is db-f1-micro, db-g1-small or db-custom-CPUS-MEMORY_MB, with 1"
        " or an even number of CPUs; MySQL's older db-n1-standard-N is db-custom-N-MEMORY_MB here, with 3840 MB per"
        " CPU, and db-perf-optimized-N-* belongs to Enterprise Plus, which this project does not use",
        remedy='take "db-custom-1-3840", the smallest with a dedicated CPU',
        url=f"{_SQL_DOCS}/postgres/instance-settings#machine-type-2ndgen",
    ),
]
Hour: TypeAlias = Annotated[
    int,
    Range(
        minimum=0,
        maximum=23,
        rule="the hour is 0 to 23, in UTC",
        remedy="write a number from 0 to 23",
        url=f"{_SQL_DOCS}/postgres/maintenance",
    ),
]
Rotation: TypeAlias = Annotated[
    int,
    Range(
        minimum=1,
        maximum=1_000_000,
        rule="a rotation number is 1 or more; raising it creates a new secret",
        remedy="add one to the number that was applied last",
        url="https://developer.hashicorp.com/terraform/language/resources/ephemeral/write-only",
    ),
]

Login: TypeAlias = Annotated[
    str,
    OneOf(
        values=("password", "both", "iam"),
        rule='the login is by "password", "iam", or "both", the step from one to the other',
        remedy='write "both" and deploy, then "iam"',
        url=f"{_SQL_DOCS}/postgres/iam-authentication",
    ),
]
LOGIN: Final = (
    "How service and jobs log in to the database: by `password`, or by `iam` as their own accounts. With `both`, the"
    " step from one to the other, the password still logs in, and its tables are shared with the accounts. The value"
    " must be known at plan, because it decides whether the accounts are users."
)

InstanceName: TypeAlias = Annotated[
    str,
    Pattern(
        regex=r"([a-z]([a-z0-9-]{0,95}[a-z0-9])?)?",
        rule="an instance's name has lower-case letters, digits and -, and starts with a letter",
        remedy="copy it from `gcloud sql instances list`, or leave it out",
        url=f"{_SQL_DOCS}/postgres/instance-settings",
    ),
]


class Database(Section):
    """Cloud SQL: one instance, in it a database `mlflow`."""

    engine: Engine = Field(default="postgresql", description="Database engine: `postgresql` or `mysql`.")
    version: str = Field(
        default="",
        description="Major version: 14 to 18 for PostgreSQL (default 17), 8.0 or 8.4 for MySQL (default 8.4).",
        examples=["17"],
    )
    tier: Tier = Field(
        default="db-custom-1-3840",
        description="Machine type: `db-f1-micro`, `db-g1-small` or `db-custom-CPUS-MEMORY_MB`.",
    )
    disk_gb: Annotated[
        int,
        Range(
            minimum=10,
            maximum=65_536,
            exception=0,
            rule="a disk has 10 to 65536 GB; 0 lets it start at 10 and grow by itself",
            remedy="write 0, or a size within the limits",
            url=f"{_SQL_DOCS}/postgres/instance-settings#storage-capacity-2ndgen",
        ),
    ] = Field(default=0, description="Disk size in GB; 0 starts at 10 and grows by itself.")
    disk_limit_gb: Annotated[
        int,
        Range(
            minimum=10,
            maximum=65_536,
            exception=0,
            rule="a disk grows to 10 to 65536 GB; 0 sets no limit",
            remedy="write 0, or a size within the limits",
            url=f"{_SQL_DOCS}/postgres/instance-settings#storage-capacity-2ndgen",
        ),
    ] = Field(
        default=0,
        description="Limit in GB for a disk that grows by itself; 0 for none. A full disk stops the database.",
    )
    high_availability: bool = Field(
        default=False, description="A standby in a second zone; needs backups and point-in-time recovery."
    )
    backups: bool = Field(default=True, description="Daily backups.")
    backup_retention: Annotated[
        int,
        Range(
            minimum=1,
            maximum=365,
            rule="1 to 365 daily backups are kept",
            remedy="write a number within the limits, such as 7",
            url=f"{_SQL_DOCS}/postgres/backup-recovery/backups#retention",
        ),
    ] = Field(default=7, description="Number of daily backups to keep.")
    retain_backups_on_delete: bool = Field(
        default=False,
        description="Keep the backups of a deleted instance: daily ones until they expire, others until somebody"
        " deletes them.",
    )
    point_in_time_recovery: bool = Field(
        default=False, description="Keep the write-ahead log, or MySQL's binary log; needs backups."
    )
    serving_instance: InstanceName = Field(
        default="",
        description="Another instance in the project and region that serves instead of the deployment's own, such as a"
        " clone of it as of a point in time.",
        examples=["mlflow-db-rescue"],
    )
    deletion_protection: bool = Field(
        default=False, description="Refuse to destroy the instance, in Terraform and in Google's API."
    )
    maintenance_day: Annotated[
        int,
        Range(
            minimum=1,
            maximum=7,
            rule="the day is 1 (Monday) to 7 (Sunday)",
            remedy="write a number from 1 to 7",
            url=f"{_SQL_DOCS}/postgres/maintenance",
        ),
    ] = Field(default=7, description="Day of the maintenance window, 1 (Monday) to 7 (Sunday).")
    maintenance_hour: Hour = Field(default=4, description="Hour at which the maintenance window starts, UTC.")
    login: Login = Field(default="password", description=LOGIN)
    rotation: Rotation = Field(
        default=1, description="Raise it for a new database password, secret version and revision, in one apply."
    )
