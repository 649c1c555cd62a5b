"""The foundation of the service module, as its callers name it: an existing bucket, instance and account."""

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from stacks import names
from stacks.settings import limits
from stacks.settings.access import ServiceAccountEmail
from stacks.settings.database import LOGIN, Engine, InstanceName, Login, Rotation
from stacks.settings.field_rules import Pattern
from stacks.settings.section import Section

_SQL_DOCS: Final = "https://cloud.google.com/sql/docs"

SecretName: TypeAlias = Annotated[
    str,
    Pattern(
        regex=r"[A-Za-z0-9_-]{0,255}",
        rule="a secret's id has at most 255 letters, digits, _ and -",
        remedy="leave it out",
        url="https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/create",
    ),
]
DatabaseName: TypeAlias = Annotated[
    str,
    Pattern(
        # It stands in a URI as it is; MySQL takes 32 characters for a user.
        regex=r"[a-z_][a-z0-9_]{0,31}",
        rule="a name in the database has at most 32 lower-case letters, digits and _, and starts with no digit",
        remedy='write "mlflow"',
        url=f"{_SQL_DOCS}/mysql/users",
    ),
]


class Names(Section):
    """Names of resources that you adopt or that follow your convention; by default they start with `name`."""

    backend_store_uri_secret: SecretName = Field(default="", description="Secret; default NAME-backend-store-uri.")
    encryption_key_secret: SecretName = Field(default="", description="Secret; default NAME-encryption-key.")
    instance: InstanceName = Field(default="", description="Cloud SQL instance; default NAME-db.")
    oauth2_proxy_secret: SecretName = Field(default="", description="Secret; default NAME-oauth2-proxy.")
    service: Annotated[
        str,
        Pattern(
            regex=r"([a-z]([a-z0-9-]{0,47}[a-z0-9])?)?",
            rule="a service's name has at most 49 lower-case letters, digits and -, and starts with a letter",
            remedy="copy it from `gcloud run services list`, or leave it out",
            url=limits.SERVICE_URL,
        ),
    ] = Field(default="", description="Cloud Run service; default NAME.")
    service_account: Annotated[
        str,
        Pattern(
            regex=r"([a-z][a-z0-9-]{4,28}[a-z0-9])?",
            rule="an account's id, what stands before the @, has 6 to 30 lower-case letters, digits and -",
            remedy="copy it from `gcloud iam service-accounts list`, or leave it out",
            url=limits.SERVICE_ACCOUNT_URL,
        ),
    ] = Field(default="", description="Id of the service account; default NAME-server.")


class ExistingDatabase(Section):
    """The existing Cloud SQL instance, and what is created in it: one database and its one user."""

    connection_name: Annotated[
        str,
        Pattern(
            regex=r"[a-z][a-z0-9-]{4,28}[a-z0-9]:[a-z]+-[a-z]+[0-9]{1,2}:[a-z]([a-z0-9-]{0,95}[a-z0-9])?",
            rule="a connection name is PROJECT:REGION:INSTANCE, of a project without a domain in its id",
            remedy="copy it from `gcloud sql instances describe INSTANCE`",
            url=f"{_SQL_DOCS}/postgres/connect-run",
        ),
    ] = Field(description="PROJECT:REGION:INSTANCE, the connection_name of google_sql_database_instance.")
    engine: Engine = Field(default="postgresql", description="Engine of the instance: `postgresql` or `mysql`.")
    login: Login = Field(
        default="password", description=f"{LOGIN} The instance's flag for IAM logins is on, unless it is `password`."
    )
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
    """The existing resources."""

    bucket_name: Annotated[
        str,
        Pattern(
            regex=r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]",
            rule="a bucket name has lower-case letters, digits, -, _ and dots, and no gs:// before it",
            remedy="copy it from `gcloud storage buckets list`",
            url="https://cloud.google.com/storage/docs/buckets#naming",
        ),
    ] = Field(description="The bucket for artifacts.")
    database: ExistingDatabase
    service_account_email: ServiceAccountEmail = Field(description="The account that the service shall run as.")
