"""Calls of the provider without Terraform: what comes back for what is sent."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from localcloud import google
from localcloud.provider import ResourceProvider, SchemaSource
from localcloud.resource import ENABLED_API
from localcloud.terraform import planning
from localcloud.terraform.faults import Fault
from localcloud.terraform.model import Refused
from localcloud.terraform.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localcloud.resource import Cloud
    from localcloud.terraform.model import Block


@cache
def block(kind: str) -> Block:
    return google.BINDINGS.resource_schemas([kind])[kind]


@cache
def source() -> SchemaSource:
    def resources(kinds: Iterable[str]) -> dict[str, Block]:
        return {kind: block(kind) for kind in kinds}

    return SchemaSource(provider=google.BINDINGS.provider_schema(), resources=resources, mentioned=set)


def provider_of(cloud: Cloud) -> ResourceProvider:
    provider = ResourceProvider(
        cloud=cloud, services=google.SERVICES, schema=source(), traffic=Traffic(0), fault=Fault()
    )
    provider.configure({"project": "demo-project", "region": "us-central1"})
    return provider


def sent(provider: ResourceProvider, kind: str, prior: Any, config: Any) -> tuple[Any, str]:
    """What comes back for what was sent, and why it was refused; with None as what was sent it is deleted."""
    config = config and planning.conform(block(kind), config)
    computed = {name for name, attribute in block(kind).attributes.items() if prior and attribute.computed}
    proposed = config and config | {name: prior[name] for name in computed if config[name] is None}
    planned, _ = provider.plan(kind, prior, proposed, config)
    try:
        found, refused = provider.apply(kind, prior, planned, config)
    except Refused as error:
        return None, str(error)
    return found, str(refused or "")


def enable(cloud: Cloud, *names: str) -> None:
    """Enables APIs, such as `run`, in the project of the tests."""
    for api in (f"{name}.googleapis.com" for name in names):
        cloud.store.put(ENABLED_API, f"demo-project/{api}", {"id": api})
