"""Terraform's values on the wire: msgpack to Python and back, and schemas and problems as messages.

A value is msgpack of the whole object, with every attribute and block present and null where unset; a value that is not
known yet is an extension. https://github.com/hashicorp/terraform/blob/main/docs/plugin-protocol/object-wire-format.md
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import msgpack

from localcloud.terraform import tfplugin6_pb2 as pb
from localcloud.terraform.model import UNKNOWN, Block, NestedBlock, Nesting, Object, Problem, Refused, Value

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNKNOWN_CODES = {0, 12}  # 12 is an unknown that carries refinements: they are hints, and may be ignored
_NESTING = {
    Nesting.SINGLE: pb.Schema.NestedBlock.SINGLE,
    Nesting.LIST: pb.Schema.NestedBlock.LIST,
    Nesting.SET: pb.Schema.NestedBlock.SET,
}


def decode(value: pb.DynamicValue) -> Object | None:
    """Reads an object.

    Args:
        value: msgpack, or JSON where Terraform sends that; empty means null.

    Returns:
        The object, or None for null.

    Raises:
        Refused: the bytes are no object of this protocol.
    """
    try:
        if value.msgpack:
            found = msgpack.unpackb(value.msgpack, ext_hook=_extension)
        else:
            found = json.loads(value.json) if value.json else None
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise Refused(Problem("Terraform sent a value that cannot be read", f"{type(error).__name__}.")) from None
    if found is not None and not isinstance(found, dict):
        raise Refused(Problem("Terraform sent a value that is no object", f"It is of type {type(found).__name__}."))
    return cast("Object | None", found)


def encode(value: Object | None) -> pb.DynamicValue:
    """Writes an object as Terraform wants it."""
    return pb.DynamicValue(msgpack=msgpack.packb(_packable(value)))


def _extension(code: int, data: bytes) -> Value:
    if code not in _UNKNOWN_CODES:
        raise ValueError(f"extension {code} of {len(data)} bytes")
    return UNKNOWN


def _packable(value: Value) -> object:
    if value is UNKNOWN:
        return msgpack.ExtType(0, b"\0")
    if isinstance(value, dict):
        return {name: _packable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_packable(item) for item in value]
    return value


def schema_message(block: Block) -> pb.Schema:
    """A schema as Terraform reads it."""
    return pb.Schema(block=_block_message(block))


def _block_message(block: Block) -> pb.Schema.Block:
    attributes = [
        pb.Schema.Attribute(
            name=name,
            type=json.dumps(attribute.type).encode(),
            required=attribute.required,
            optional=attribute.optional,
            computed=attribute.computed,
            sensitive=attribute.sensitive,
            write_only=attribute.write_only,
        )
        for name, attribute in block.attributes.items()
    ]
    return pb.Schema.Block(
        attributes=attributes, block_types=[_nested_message(name, nested) for name, nested in block.blocks.items()]
    )


def _nested_message(name: str, nested: NestedBlock) -> pb.Schema.NestedBlock:
    return pb.Schema.NestedBlock(
        type_name=name,
        block=_block_message(nested.block),
        nesting=_NESTING[nested.nesting],
        min_items=nested.min_items,
        max_items=nested.max_items,
    )


def path_message(path: tuple[str | int, ...]) -> pb.AttributePath:
    """A way to a value as Terraform reads it."""
    return pb.AttributePath(
        steps=[
            pb.AttributePath.Step(attribute_name=step)
            if isinstance(step, str)
            else pb.AttributePath.Step(element_key_int=step)
            for step in path
        ]
    )


def diagnostics(problems: Iterable[Problem]) -> list[pb.Diagnostic]:
    """Problems as Terraform shows them."""
    return [
        pb.Diagnostic(
            severity=pb.Diagnostic.ERROR,
            summary=problem.summary,
            detail=problem.detail,
            attribute=path_message(problem.path) if problem.path else None,
        )
        for problem in problems
    ]
