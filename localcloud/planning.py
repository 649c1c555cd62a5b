"""From a configuration to a planned object: knows Terraform's rules for plans, and no Google.

Terraform itself proposes the new object: configured values, and for computed ones that are not configured the values of
the state. What is left is to say which of those will be known after the apply only.
https://github.com/hashicorp/terraform/blob/main/docs/resource-instance-change-lifecycle.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.model import UNKNOWN, Block, Nesting, Object, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def plan(
    block: Block, proposed: Object, config: Object, *, known: Mapping[str, Value], assigned: Iterable[str]
) -> Object:
    """Plans an object.

    Args:
        block: the schema of the resource.
        proposed: Terraform's proposal.
        config: what was written; write-only values appear here alone.
        known: computed values that are certain already.
        assigned: computed attributes that the cloud assigns in the apply.

    Returns:
        The planned object. A computed attribute that is neither configured nor named by the arguments stays as it was,
        or null.
    """
    planned = {name: None if _is_write_only(block, name) else value for name, value in proposed.items()}
    certain = {**known, **dict.fromkeys(assigned, UNKNOWN)}
    return planned | {name: value for name, value in certain.items() if config.get(name) is None}


def finish(planned: Value, assigned: Mapping[str, Value]) -> Object:
    """The object after the apply: what was planned, with the assigned values where "known after apply" stood.

    Raises:
        LookupError: a planned unknown has no value; a mistake in a service module.
    """
    if not isinstance(planned, dict):
        raise LookupError("no object was planned")  # noqa: TRY004 - nobody passed a wrong type
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


def _is_write_only(block: Block, name: str) -> bool:
    return name in block.attributes and block.attributes[name].write_only
