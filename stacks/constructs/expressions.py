"""Terraform's own language in the document: for what depends on an input that Terraform alone may know.

An expression is a string of that language without `${` and `}`. What it reads of the inputs stands in `locals`: so the
document of a settings file and that of a module differ in the locals and nowhere else.
"""

from typing import Any

from cdktf import IResolvable, TerraformLocal, TerraformResource, TerraformStack, Token
from constructs import Construct

from stacks.inputs import Placement, StringMap


def local(scope: Construct, name: str, value: object) -> str:
    """Gives a value a name that expressions can use.

    Args:
        scope: Any construct of the stack.
        name: Name of the local value, unique in the stack.
        value: A plain value or a Terraform token.

    Returns:
        The expression `local.NAME`.
    """
    element = TerraformLocal(scope, f"local-{name}", value)
    element.override_logical_id(name)
    return f"local.{name}"


def add_name_value_blocks(resource: TerraformResource, path: str, block: str, entries: StringMap | str) -> None:
    """Adds a `name` and `value` block for each entry of a map.

    A map that is known now becomes plain blocks, which people and policy scanners read best (checkov drops a resource
    with a `dynamic` block); one that Terraform alone knows becomes a dynamic block over it.

    Args:
        resource: The resource.
        path: Where the blocks go, such as `settings`.
        block: Their name, such as `database_flags`.
        entries: A plain map, a token of a map, or an expression.
    """
    if isinstance(entries, str) or Token.is_unresolved(entries):
        dynamic = {
            "for_each": string(entries) if isinstance(entries, str) else entries,
            "content": {"name": f"${{{block}.key}}", "value": f"${{{block}.value}}"},
        }
        resource.add_override(f"{path}.dynamic.{block}", dynamic)
    else:
        resource.add_override(f"{path}.{block}", [{"name": key, "value": value} for key, value in entries.items()])


def shared_local(stack: TerraformStack, name: str, value: object) -> str:
    """The same for a value that several constructs name, whichever of them does so first."""
    return f"local.{name}" if stack.node.try_find_child(f"local-{name}") else local(stack, name, value)


def kms_key(scope: Construct, placement: Placement) -> str:
    """The expression of the key of a deployment."""
    return shared_local(TerraformStack.of(scope), f"{placement.prefix}kms_key", placement.kms_key)


def key_argument(scope: Construct, placement: Placement) -> str | None:
    """The key as an argument, which is left out where it is empty."""
    if Token.is_unresolved(placement.kms_key):
        return string(f"one(compact([{kms_key(scope, placement)}]))")
    return placement.kms_key or None


def add_key_block(resource: TerraformResource, path: str, argument: str, placement: Placement) -> None:
    """Adds the block that names the key, if there is one.

    Args:
        resource: The resource.
        path: Of the block, such as `template.encryption`.
        argument: The name of its argument.
        placement: Whose key it is.
    """
    key = placement.kms_key
    add_block(resource, path, {argument: key}, given=key, expression=kms_key(resource, placement))


def add_block(resource: TerraformResource, path: str, content: dict[str, Any], *, given: str, expression: str) -> None:
    """Adds a block, if a string is not empty; where Terraform alone knows, a dynamic block.

    Args:
        resource: The resource.
        path: Of the block, such as `template.encryption`.
        content: What is in it; it may have blocks of its own.
        given: The string.
        expression: The expression of it.
    """
    outer, _, block = path.rpartition(".")
    if Token.is_unresolved(given):
        dynamic = {"for_each": string(f"compact([{expression}])"), "content": content}
        resource.add_override(f"{outer}.dynamic.{block}" if outer else f"dynamic.{block}", dynamic)
    elif given:
        resource.add_override(path, content)


def string(expression: str) -> str:
    """The expression as a string argument."""
    return f"${{{expression}}}"


def inner(argument: str) -> str:
    """The expression of a string argument that is one: a token inside another expression would do, a text would not."""
    return argument.removeprefix("${").removesuffix("}")


def number(expression: str) -> float:
    """The expression as a number argument."""
    return Token.as_number(string(expression))


def flag(expression: str) -> IResolvable:
    """The expression as a boolean argument."""
    return Token.as_any(string(expression))
