"""What the service module stands on, as its callers name it: a bucket, an instance and an account that exist."""

from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field

from stacks import names
from stacks.settings.access import ServiceAccountEmail
from stacks.settings.database import Engine, Rotation
from stacks.settings.field_rules import Pattern
from stacks.settings.section import Section

_SQL_DOCS: Final = "https://cloud.google.com/sql/docs"

ExistingBucketName: TypeAlias = Annotated[
    str,
    AfterValidator(
        Pattern(
            regex=r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]",
            rule="a bucket name has lower-case letters, digits, -, _ and dots, and no gs:// before it",
            remedy="copy it from `gcloud storage buckets list`",
            url="https://cloud.google.com/storage/docs/buckets#naming",
        )
    ),
]
ConnectionName: TypeAlias = Annotated[
    str,
    AfterValidator(
        Pattern(
            regex=r"[a-z][a-z0-9-]{4,28}[a-z0-9]:[a-z]+-[a-z]+[0-9]{1,2}:[a-z]([a-z0-9-]{0,95}[a-z0-9])?",
            rule="a connection name is PROJECT:REGION:INSTANCE",
            remedy="copy it from `gcloud sql instances describe INSTANCE`",
            url=f"{_SQL_DOCS}/postgres/connect-run",
        )
    ),
]
DatabaseName: TypeAlias = Annotated[
    str,
    AfterValidator(
        Pattern(
            # It stands in a URI as it is; MySQL takes 32 characters for a user.
            regex=r"[a-z_][a-z0-9_]{0,31}",
            rule="a name in the database has at most 32 lower-case letters, digits and _, and starts with no digit",
            remedy='write "mlflow"',
            url=f"{_SQL_DOCS}/mysql/users",
        )
    ),
]


class ExistingDatabase(Section):
    """The Cloud SQL instance that exists, and what is made in it: one database and its one user."""

    connection_name: ConnectionName = Field(
        description="PROJECT:REGION:INSTANCE, the connection_name of google_sql_database_instance."
    )
    engine: Engine = Field(default="postgresql", description="Engine of the instance: `postgresql` or `mysql`.")
    name: DatabaseName = Field(
        default=names.DATABASE, description="The database to make; another one for each tracking server."
    )
    rotation: Rotation = Field(
        default=1, description="Raise it for a new database password, secret version and revision, in one apply."
    )
    user: DatabaseName = Field(
        default=names.DATABASE_USER, description="The user to make; another one for each tracking server."
    )


class Foundation(Section):
    """What exists."""

    bucket_name: ExistingBucketName = Field(description="The bucket for artifacts.")
    database: ExistingDatabase
    service_account_email: ServiceAccountEmail = Field(description="The account that the service shall run as.")
