"""Snapshots of documents that resemble each other: one is kept whole, the others as what differs from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

if TYPE_CHECKING:
    from collections.abc import Iterator


class TextSnapshot(SingleFileSnapshotExtension):
    """A snapshot that is a text, in a file of its own."""

    file_extension = "txt"
    _write_mode = WriteMode.TEXT


def differences(base: Any, other: Any) -> str:
    """What of a JSON document is not as in another: a sorted line each, `-` gone, `+` new, `~` of another value.

    A line names a value by its path. An entry of a list of objects is named by its own `name` where all have one, else
    by its number.
    """
    before, after = (
        {path: json.dumps(value, ensure_ascii=False) for path, value in leaves(one)} for one in (base, other)
    )
    lines = [_line(path, before.get(path), after.get(path)) for path in sorted({*before, *after})]
    return "".join(line for line in lines if line)


def _line(path: str, before: str | None, after: str | None) -> str:
    if before == after:
        return ""
    if after is None:
        return f"- {path}\n"
    return f"+ {path} = {after}\n" if before is None else f"~ {path} = {before} -> {after}\n"


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a JSON document by its path; what is empty, and a list of other things than objects, is one."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(item, f"{path}.{name}".removeprefix("."))
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        names = [item.get("name") for item in value]
        named = all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
        for number, item in enumerate(value):
            rest = {key: one for key, one in item.items() if key != "name"}
            yield from leaves(rest or item, f"{path}[{names[number]}]") if named else leaves(item, f"{path}[{number}]")
    else:
        yield path, value
