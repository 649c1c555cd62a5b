"""From a configuration to a planned object: knows Terraform's rules for plans, and no Google.

Terraform itself proposes the new object: configured values, and for computed ones that are not configured the values of the
state. What is left is to say which of those will be known after the apply only.
https://github.com/hashicorp/terraform/blob/main/docs/resource-instance-change-lifecycle.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.model import UNKNOWN, Block, Nesting, Object, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def plan_create(block: Block, proposed: Object, config: Object, *, known: Mapping[str, Value], assigned: Iterable[str]) -> Object:
    """Plans a new object.

    Args:
        block: the schema of the resource.
        proposed: Terraform's proposal.
        config: what was written; write-only values appear here alone.
        known: computed values that are certain already.
        assigned: computed attributes that the cloud assigns when it makes the object.

    Returns:
        The planned object. Computed attributes that are neither configured nor named by the arguments stay null.
    """
    planned = _without_write_only(block, proposed)
    for name in assigned:
        if config.get(name) is None:
            planned[name] = UNKNOWN
    for name, value in known.items():
        if config.get(name) is None:
            planned[name] = value
    return planned


def plan_update(
    block: Block, proposed: Object, config: Object, prior: Object, *, known: Mapping[str, Value], changing: Iterable[str]
) -> Object:
    """Plans a change, or none: an object that equals `prior` makes Terraform do nothing.

    Args:
        block: the schema of the resource.
        proposed: Terraform's proposal.
        config: what was written.
        prior: the object as it is.
        known: computed values that are certain already.
        changing: computed attributes that the cloud assigns anew with every change.

    Returns:
        The planned object.
    """
    planned = _without_write_only(block, proposed)
    for name, value in known.items():
        if config.get(name) is None:
            planned[name] = value
    if planned != prior:
        for name in changing:
            if config.get(name) is None:
                planned[name] = UNKNOWN
    return planned


def finish(planned: Value, assigned: Mapping[str, Value]) -> Object:
    """The object after the apply: what was planned, with the assigned values where "known after apply" stood.

    Raises:
        LookupError: a planned unknown has no value; a mistake in a service module.
    """
    if not isinstance(planned, dict):
        raise LookupError("no object was planned")
    return {name: assigned[name] if value is UNKNOWN else value for name, value in planned.items()}


def conform(block: Block, value: Object) -> Object:
    """Brings an object that was written under another version of the schema into the present one.

    Args:
        block: the present schema.
        value: an object with attributes missing, or with ones that no longer exist.

    Returns:
        An object with exactly the attributes and blocks of the schema; what was missing is null, or no block.
    """
    result: Object = {name: value.get(name) for name in block.attributes}
    for name, nested in block.blocks.items():
        found = value.get(name)
        if isinstance(found, list):
            result[name] = [conform(nested.block, item) if isinstance(item, dict) else item for item in found]
        elif isinstance(found, dict):
            result[name] = conform(nested.block, found)
        else:
            result[name] = None if nested.nesting is Nesting.SINGLE else []
    return result


def _without_write_only(block: Block, value: Object) -> Object:
    return {
        name: None if name in block.attributes and block.attributes[name].write_only else item for name, item in value.items()
    }
