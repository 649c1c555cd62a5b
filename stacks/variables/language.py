"""Terraform's language: values and types as text."""

import json
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin


def literal(value: Any) -> str:  # noqa: ANN401 - any plain value
    """A plain value as an expression.

    Strings of Terraform's language are written like JSON's, but for the template marks:
    https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences
    """
    return json.dumps(value).replace("${", "$${").replace("%{", "%%{")


def type_of(annotation: Any) -> str:  # noqa: ANN401 - a type, or a form of typing
    """The type constraint for a field of the settings.

    Raises:
        TypeError: Nobody said yet how such a field is a variable.
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        return type_of(get_args(annotation)[0])
    if origin is Literal:
        return "string"
    if origin is list:
        return f"list({type_of(get_args(annotation)[0])})"
    if origin is dict:
        return f"map({type_of(get_args(annotation)[1])})"
    if origin is not UnionType and annotation in (names := {str: "string", int: "number", bool: "bool"}):
        return names[annotation]
    raise TypeError(f"{annotation} has no counterpart among Terraform's types")
