"""What the constructs take in: plain values of a settings file, or Terraform variables of a module.

Every value may be a Terraform token: it is passed through, and what depends on it is written in Terraform's language.
stacks/settings/model.py says what each means, its unit and its limits; the names here are the names there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cdktf import IResolvable

from stacks.names import CloudNames

Flag: TypeAlias = bool | IResolvable
StringMap: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseInputs:
    """The database's inputs."""

    engine: str
    version: str
    tier: str
    disk_gb: float
    high_availability: Flag
    backups: Flag
    backup_retention: float
    point_in_time_recovery: Flag
    deletion_protection: Flag
    maintenance_day: float
    maintenance_hour: float
    rotation: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketInputs:
    """The artifact bucket's inputs."""

    name: str
    versioning: Flag
    delete_noncurrent_after_days: float
    soft_delete_days: float
    force_destroy: Flag


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceInputs:
    """The Cloud Run service's inputs."""

    image: str
    cpu: str
    memory: str
    min_instances: float
    max_instances: float
    concurrency: float
    timeout_seconds: float
    ingress: str
    env: StringMap
    artifact_roots: list[str]
    public_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessInputs:
    """The inputs that say who gets in.

    Attributes:
        oauth_client_secret: An ephemeral expression without its `${` and `}`; the one input that is no setting.
    """

    oauth_client_id: str
    oauth_client_secret: str
    email_domains: list[str]
    emails: list[str]
    service_accounts: list[str]
    extra_audiences: list[str]
    gcloud_tokens: Flag
    invoker_iam_disabled: Flag
    artifact_writers: list[str]
    sign_in_rotation: float


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceInputs:
    """A Cloud SQL instance, made here or elsewhere, and what is MLflow's in it.

    Attributes:
        name: Its name, known when it exists.
        resource: `projects/PROJECT/instances/NAME`, as conditions name it, known before it exists.
        connection_name: `PROJECT:REGION:INSTANCE`, as the volume of Cloud Run wants it.
        engine: An expression without its `${` and `}` that yields `postgresql` or `mysql`.
        database: Name of MLflow's database.
        user: Name of its user.
    """

    name: str
    resource: str
    project_id: str
    connection_name: str
    engine: str
    database: str
    user: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundationInputs:
    """What the service stands on: it is made by the same root, or it exists.

    Attributes:
        service_account: E-mail address of the account that the service runs as.
        service_account_member: The same as an IAM member.
    """

    bucket_name: str
    instance: InstanceInputs
    service_account: str
    service_account_member: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ServingInputs:
    """The inputs of what runs on a foundation.

    Attributes:
        database_rotation: Raised for a new database password.
    """

    names: CloudNames
    region: str
    labels: StringMap
    project_id: str
    project_number: str
    database_rotation: float
    service: ServiceInputs
    access: AccessInputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """The inputs of the whole system; one region, so database, bucket, secrets and service cannot differ."""

    names: CloudNames
    region: str
    labels: StringMap
    project_id: str
    project_number: str
    database: DatabaseInputs
    bucket: BucketInputs
    service: ServiceInputs
    access: AccessInputs
