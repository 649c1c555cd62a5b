"""hashicorp/google as this machine serves it: the schema of its bindings, and what its services mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.provider import ResourceProvider, SchemaSource, Services
from localcloud.services import RESOURCES, authorize
from localcloud.terraform.documents import STATES, names, resource_types
from localcloud.terraform.model import Attribute, Block, NestedBlock, Nesting
from localcloud.terraform.schema import Bindings

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.resource import Cloud
    from localcloud.terraform.faults import Fault
    from localcloud.terraform.traffic import Traffic

_CREDENTIALS = ("audience", "identity_token", "service_account_email")


def _block(attributes: dict[str, Attribute]) -> NestedBlock:
    return NestedBlock(block=Block(attributes), nesting=Nesting.LIST)


BINDINGS = Bindings(
    provider="google",
    blocks={
        "batching": _block(
            {
                "enable_batching": Attribute(type="bool", optional=True),
                "send_after": Attribute(type="string", optional=True),
            }
        ),
        "external_credentials": _block({name: Attribute(type="string", required=True) for name in _CREDENTIALS}),
    },
    corrections={resource.type: resource.corrections for resource in RESOURCES},
)
SERVICES = Services(resources=[resource() for resource in RESOURCES], authorize=authorize)


def newer_attributes(cloud: Cloud, documents: Path) -> dict[str, dict[str, Attribute]]:
    """The attributes of later versions that a document names, which asks for such a version, or that an object has."""
    return {
        resource.type: {
            name: attribute
            for name, attribute in resource.corrections.newer.items()
            if names(documents, cloud.store.home / STATES, name)
            or any(one.get(name) is not None for one in cloud.store.all(resource.type))
        }
        for resource in RESOURCES
        if resource.corrections.newer
    }


def provider(cloud: Cloud, documents: Path, traffic: Traffic, fault: Fault) -> ResourceProvider:
    """Makes the provider.

    Args:
        cloud: where the resources live.
        documents: where the Terraform documents are.
        traffic: tells late changes when to happen.
        fault: what to break.
    """
    return ResourceProvider(
        cloud=cloud,
        services=SERVICES,
        schema=SchemaSource(
            provider=BINDINGS.provider_schema(),
            resources=BINDINGS.resource_schemas,
            mentioned=lambda: resource_types(documents, BINDINGS.provider),
            newer=lambda: newer_attributes(cloud, documents),
        ),
        traffic=traffic,
        fault=fault,
    )
