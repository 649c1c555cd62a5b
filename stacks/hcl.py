"""Terraform's language: values and types as text."""

import json
from typing import Annotated, Any, Final, Literal, get_args, get_origin

_PRIMITIVES: Final = {str: "string", int: "number", bool: "bool"}


def text(value: str) -> str:
    """A string that means itself in a template.

    Source: https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences
    """
    return value.replace("${", "$${").replace("%{", "%%{")


def escaped(value: Any) -> Any:  # noqa: ANN401 - any value of a TOML file
    """A plain value in which every string means itself in a template."""
    match value:
        case str():
            return text(value)
        case dict():
            return {escaped(key): escaped(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list():
            return [escaped(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def literal(value: Any) -> str:  # noqa: ANN401 - any plain value
    """A plain value as an expression; strings are written like JSON's, except for the marks of templates."""
    return text(json.dumps(value))


def type_of(annotation: Any) -> str:  # noqa: ANN401 - a type, or a form of typing
    """The type constraint for a field of the settings.

    Raises:
        TypeError: Nobody said yet how such a field is a variable.
    """
    arguments = get_args(annotation)
    match get_origin(annotation):
        case None if annotation in _PRIMITIVES:
            return _PRIMITIVES[annotation]
        case kind if kind is Annotated:
            return type_of(arguments[0])
        case kind if kind is Literal:
            return "string"
        case kind if kind is list:
            return f"list({type_of(arguments[0])})"
        case kind if kind is dict:
            return f"map({type_of(arguments[1])})"
        case _:
            raise TypeError(f"{annotation} has no counterpart among Terraform's types")
