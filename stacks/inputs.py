"""What the constructs take in: sections of a settings file, or the same sections made of a module's variables.

A section that is made of variables holds Terraform tokens. A value is passed through, and what depends on it is written
in Terraform's language; the two exceptions, of which checkov reads the plain form alone, ask Token.is_unresolved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from stacks.names import CloudNames
from stacks.settings.access import Access
from stacks.settings.bucket import Bucket
from stacks.settings.database import Database
from stacks.settings.service import Service

StringMap: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where everything goes: one project and one region, so that no two parts can differ.

    Attributes:
        prefix: Of logical ids and local values, in a stack that holds several of a kind; the first has none.
    """

    names: CloudNames
    region: str
    labels: StringMap
    project_id: str
    project_number: str
    prefix: str = ""


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
class Account:
    """Who a workload is: a service account.

    Attributes:
        email: Its e-mail address.
        member: The same as an IAM member, `serviceAccount:EMAIL`.
    """

    email: str
    member: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundationInputs:
    """What the service stands on: it is made by the same root, or it exists."""

    account: Account
    bucket_name: str
    instance: InstanceInputs


@dataclass(frozen=True, kw_only=True, slots=True)
class ServingInputs:
    """The inputs of what runs on a foundation.

    Attributes:
        database_rotation: Raised for a new database password.
        oauth_client_secret: An ephemeral expression without its `${` and `}`; the one input that is no setting.
    """

    placement: Placement
    database_rotation: float
    service: Service
    access: Access
    oauth_client_secret: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """The inputs of the whole system.

    Attributes:
        oauth_client_secret: As in ServingInputs.
    """

    placement: Placement
    database: Database
    bucket: Bucket
    service: Service
    access: Access
    oauth_client_secret: str
