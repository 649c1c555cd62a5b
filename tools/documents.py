"""Writes a synthesized document in the form that checkov can read.

checkov 3.3.30 gives up on a document with `terraform.required_version` or `moved`, and its own checks crash where a
block holds a `dynamic` one; in each case it finds nothing and ends well.
"""

from __future__ import annotations

from typing import Any, cast

Document = dict[str, Any]


def readable(document: Document) -> Document:
    """The same resources without what is Terraform's own, and with each `dynamic` block written out once."""
    return {name: _static(value) for name, value in document.items() if name not in ("moved", "terraform")}


def blocks_in(value: object) -> list[Document]:
    """The blocks of an argument: JSON has a single one as an object, several as a list."""
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    return [cast("Document", item) for item in items if isinstance(item, dict)]


def _static(value: object) -> object:
    if isinstance(value, list):
        return [_static(item) for item in cast("list[object]", value)]
    return _static_body(cast("Document", value)) if isinstance(value, dict) else value


def _static_body(body: Document) -> Document:
    static = {name: _static(value) for name, value in body.items() if name != "dynamic"}
    for dynamic in blocks_in(body.get("dynamic")):
        for name, generator in dynamic.items():
            # An expression or a filled collection; an empty one makes no block.
            if generator["for_each"]:
                static[name] = [*blocks_in(static.get(name)), _static(generator["content"])]
    return static
