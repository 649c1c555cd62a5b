"""From a configuration to a planned object: knows Terraform's rules for plans, and no Google.

Terraform itself proposes the new object: configured values, and for computed ones that are not configured the values of
the state. What is left is to fill in what nobody said: the provider's own defaults, which a plan shows, and what the
cloud will assign, which a plan calls unknown.
https://github.com/hashicorp/terraform/blob/main/docs/resource-instance-change-lifecycle.md

A path names an attribute or a block, inside of blocks or not: `settings.disk_size`, in every `settings` that there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.terraform.model import UNKNOWN, Block, Nesting, Object, Value, at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Filling:
    """The values of arguments that were not given.

    Attributes:
        known: attribute -> a computed value that is certain already.
        defaults: path -> what the provider says where the configuration does not.
        computed: paths to which the cloud gives a value when it creates the object, and that stay from then on.
    """

    known: Mapping[str, Value]
    defaults: Mapping[str, Value]
    computed: Iterable[str]


def plan(block: Block, proposed: Object, config: Object, prior: Object | None, filling: Filling) -> Object:
    """Plans an object.

    Args:
        block: the schema of the resource.
        proposed: Terraform's proposal.
        config: what was written; write-only values appear here alone.
        prior: the object before the change, None for a new one.
        filling: what was not written.

    Returns:
        The planned object. What is neither configured nor filled in stays as it was, or null.
    """
    planned = _readable(block, proposed)
    planned |= {name: value for name, value in filling.known.items() if config.get(name) is None}
    for path, value in (*filling.defaults.items(), *((path, UNKNOWN) for path in filling.computed)):
        planned = _fill(planned, config, prior, path.split("."), value)
    return planned


def _fill(planned: Object, config: Value, prior: Value, path: list[str], value: Value) -> Object:
    """An object with a value at a path where there is none; an unknown one gives way to what was there before."""
    name, *rest = path
    found = planned.get(name)
    if rest:
        if not isinstance(found, list):
            return planned
        items = [
            _fill(item, at(config, name, index), at(prior, name, index), rest, value)
            if isinstance(item, dict)
            else item
            for index, item in enumerate(found)
        ]
        return {**planned, name: [*items]}
    if name not in planned or not _is_unsaid(at(config, name)) or not _is_unsaid(found):
        return planned  # not every version of a provider has each attribute
    before = at(prior, name) if value is UNKNOWN else None
    return {**planned, name: value if before is None else before}


def _is_unsaid(value: Value) -> bool:
    return value is None or value == []


def settle(planned: Object, path: str, value: Value) -> Object:
    """A planned object with a value at a path where "known after apply" stood."""
    return _settle(planned, path.split("."), value)


def finish(planned: Object, computed: Mapping[str, Value]) -> Object:
    """The object after the apply.

    Args:
        planned: the planned object.
        computed: attribute -> its value, whatever was planned.

    Raises:
        LookupError: a planned unknown has no value; a mistake in a service module.
    """
    finished = {**planned, **computed}
    if _has_unknown(finished):
        raise LookupError("a planned unknown has no value")
    return finished


def _settle(planned: Object, path: list[str], value: Value) -> Object:
    name, *rest = path
    found = planned.get(name)
    if rest and isinstance(found, list):
        items = [_settle(item, rest, value) if isinstance(item, dict) else item for item in found]
        return {**planned, name: [*items]}
    return {**planned, name: value} if found is UNKNOWN and not rest else planned


def _has_unknown(value: Value) -> bool:
    if isinstance(value, dict):
        return any(map(_has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(_has_unknown, value))
    return value is UNKNOWN


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


def _readable(block: Block, values: Object) -> Object:
    """An object without its write-only values, those inside of blocks included."""
    found: Object = {}
    for name, value in values.items():
        if name in block.attributes:
            found[name] = None if block.attributes[name].write_only else value
        elif isinstance(value, list):
            inner = block.blocks[name].block
            found[name] = [_readable(inner, item) if isinstance(item, dict) else item for item in value]
        else:
            found[name] = _readable(block.blocks[name].block, value) if isinstance(value, dict) else value
    return found
