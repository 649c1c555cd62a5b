"""Resources at the addresses that the system gives them."""

from typing import TypeVar

from cdktf import TerraformResource, TerraformStack
from constructs import Construct

from stacks.addresses import MOVED, Address

_Resource = TypeVar("_Resource", bound=TerraformResource)


def pin(resource: _Resource, address: Address) -> _Resource:
    """Gives a resource its address, free of the construct path and its hash.

    Raises:
        ValueError: The address is that of another type.
    """
    if resource.terraform_resource_type != address.type:
        raise ValueError(f"{address} is no address of a {resource.terraform_resource_type}")
    resource.override_logical_id(address.logical_id)
    return resource


def addresses_in(scope: Construct) -> list[Address]:
    """The addresses of all resources below a construct, in alphabetical order."""
    resources = (one for one in scope.node.find_all() if isinstance(one, TerraformResource))
    return sorted(Address(f"{one.terraform_resource_type}.{one.friendly_unique_id}") for one in resources)


def moved_in(stack: TerraformStack) -> list[dict[str, str]]:
    """A `moved` block for each address that has another name now, so that a plan renames it in the state."""
    present = addresses_in(stack)
    return [{"from": old, "to": new} for old, new in MOVED.items() if new in present]
