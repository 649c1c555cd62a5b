"""Writes a document as the plan that Terraform would show of it, as far as that needs no provider.

The form is https://developer.hashicorp.com/terraform/internals/json-format: each block is a list, unset arguments are
null, write-only ones too, and what an expression yields is unknown. Which arguments a type has is learned from the
documents themselves: what any of them names is null in the others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tools.documents import Document, blocks_in, readable

if TYPE_CHECKING:
    from collections.abc import Iterable

Shape = dict[str, "Shape | None"]

# A plan names every block, and checkov takes an empty list for a bucket that logs to itself.
CHECKOV_ERRS = {"CKV_GCP_63"}
META_ARGUMENTS = {"count", "depends_on", "for_each", "lifecycle", "provider"}
EXPRESSION = re.compile(r"\$\{(.*)\}", re.DOTALL)
REFERENCE = re.compile(r"\b[a-z]\w*\.\w+(?:\.\w+)*")


def shapes(documents: Iterable[Document]) -> dict[str, Shape]:
    """The arguments and blocks that each resource type has in these documents."""
    found: dict[str, Shape] = {}
    for document in documents:
        for kind, resources in readable(document)["resource"].items():
            for body in resources.values():
                _learn(body, found.setdefault(kind, {}))
    return found


def plan_of(document: Document, types: dict[str, Shape]) -> Document:
    """The plan that creates all resources of the document."""
    by_type = sorted(readable(document)["resource"].items())
    resources = [(kind, name, body) for kind, named in by_type for name, body in sorted(named.items())]
    return {
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "planned_values": {"root_module": {"resources": [_planned(*each, types) for each in resources]}},
        "resource_changes": [_change(*each, types) for each in resources],
        "configuration": {"root_module": {"resources": [_configured(*each) for each in resources]}},
    }


def _identity(kind: str, name: str) -> dict[str, Any]:
    return {"address": f"{kind}.{name}", "mode": "managed", "type": kind, "name": name}


def _planned(kind: str, name: str, body: Document, types: dict[str, Shape]) -> Document:
    return _identity(kind, name) | {"values": _values(body, types[kind])}


def _change(kind: str, name: str, body: Document, types: dict[str, Shape]) -> Document:
    after = {
        "actions": ["create"],
        "before": None,
        "after": _values(body, types[kind]),
        "after_unknown": _unknown(body),
    }
    return _identity(kind, name) | {"change": after}


def _configured(kind: str, name: str, body: Document) -> Document:
    return _identity(kind, name) | {"expressions": _expressions(body)}


def _arguments(body: Document) -> Iterable[tuple[str, Any]]:
    return ((name, value) for name, value in body.items() if name not in META_ARGUMENTS)


def _learn(body: Document, shape: Shape) -> None:
    for name, value in _arguments(body):
        if blocks := blocks_in(value):
            inner = shape.get(name) or {}
            for block in blocks:
                _learn(block, inner)
            shape[name] = inner
        else:
            shape.setdefault(name, None)


def _is_expression(value: object) -> bool:
    return isinstance(value, str) and EXPRESSION.search(value) is not None


def _values(body: Document, shape: Shape) -> Document:
    planned: Document = {}
    for name, inner in shape.items():
        value = body.get(name)
        if inner is not None:
            planned[name] = [_values(block, inner) for block in blocks_in(value)]
        elif not _is_expression(value):
            planned[name] = None if name.endswith("_wo") else value
    return planned


def _unknown(body: Document) -> Document:
    return {
        name: [_unknown(block) for block in blocks_in(value)] if blocks_in(value) else True
        for name, value in _arguments(body)
        if blocks_in(value) or (_is_expression(value) and not name.endswith("_wo"))
    }


def _expressions(body: Document) -> Document:
    expressions: Document = {}
    for name, value in _arguments(body):
        if blocks := blocks_in(value):
            expressions[name] = [_expressions(block) for block in blocks]
        elif match := EXPRESSION.search(value) if isinstance(value, str) else None:
            expressions[name] = {"references": REFERENCE.findall(match[1])}
        else:
            expressions[name] = {"constant_value": value}
    return expressions
