"""Inputs of the constructs: sections of a settings file, or the same sections made of a module's variables.

A section that is made of variables holds Terraform tokens. A value is passed through, and what depends on it is written
in Terraform's language; the two exceptions, of which checkov reads the plain form alone, ask Token.is_unresolved. Which
gate there is, `iap.enabled`, is never a token: the two are different resources, and not for the same providers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypeAlias

from stacks.names import CloudNames
from stacks.settings.model import Settings
from stacks.settings.network import Network

StringMap: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where everything goes: one project and one region, so that no two parts can differ.

    Attributes:
        kms_key: The key of all that is at rest; empty for Google's.
        network: The network of the database.
        prefix: Of logical ids and local values, in a stack that holds several of a kind; the first has none.
    """

    names: CloudNames
    region: str
    labels: StringMap
    project_id: str
    project_number: str
    kms_key: str
    network: Network
    prefix: str = ""

    @classmethod
    def of(cls, settings: Settings, names: CloudNames) -> Self:
        """Where settings, or the same of variables, put everything."""
        return cls(
            names=names,
            region=settings.region,
            labels=settings.labels,
            project_id=settings.project.id,
            project_number=settings.project.number,
            kms_key=settings.encryption.kms_key,
            network=settings.network,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceInputs:
    """The Cloud SQL instance that serves, made here or elsewhere, and what is MLflow's in it.

    Attributes:
        name: Its name, known when it exists.
        own: The name of the instance in which Terraform creates the database; another one has it from a backup.
        turn: An expression of a number, another one for each instance that serves instead of the own one.
        resource: `projects/PROJECT/instances/NAME`, as conditions name it, known before it exists.
        connection_name: `PROJECT:REGION:INSTANCE`, as the volume of Cloud Run wants it.
        id: `PROJECT:NAME`, as metrics name it, known before it exists.
        engine: An expression without its `${` and `}` that yields `postgresql` or `mysql`.
        address: The same of its private address, where that is known.
        authority: The same of the certificate of its authority.
        database: Name of MLflow's database.
        user: Name of its user.
    """

    name: str
    own: str
    turn: str
    resource: str
    id: str
    project_id: str
    connection_name: str
    engine: str
    address: str
    authority: str
    database: str
    user: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """The identity of a workload: a service account.

    Attributes:
        email: Its e-mail address, an expression within `${` and `}`.
        member: The same as an IAM member, `serviceAccount:EMAIL`.
    """

    email: str
    member: str

    @classmethod
    def of(cls, resource: str) -> Self:
        """The account of a resource, by its address."""
        return cls(email=f"${{{resource}.email}}", member=f"${{{resource}.member}}")


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundationInputs:
    """The resources under the service: created by the same root, or existing already."""

    account: Account
    bucket_name: str
    instance: InstanceInputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """The inputs of the whole system.

    Attributes:
        settings: The sections of a settings file; of `database`, what runs on an instance reads `login` and `rotation`.
        oauth_client_secret: An ephemeral expression without its `${` and `}`; the one input that is no setting. Empty
            where Identity-Aware Proxy is the gate.
    """

    placement: Placement
    settings: Settings
    oauth_client_secret: str
