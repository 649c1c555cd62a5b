"""The documents that policies are tried on: of each rule one that fails and one that passes, and two whole systems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.documents import Document

FIXTURES = Path(__file__).with_name("fixtures")
SYSTEMS = ("known_bad", "system")


def of_rule(rule: str) -> dict[str, Document]:
    """The documents of a rule: `fails` and `passes`."""
    return json.loads((FIXTURES / f"{rule}.json").read_text())


def of_system(name: str) -> Document:
    """The document of a whole system."""
    return json.loads((FIXTURES / name / "cdk.tf.json").read_text())


def every() -> Iterator[Document]:
    """All of them."""
    for path in FIXTURES.glob("*.json"):
        yield from of_rule(path.stem).values()
    yield from map(of_system, SYSTEMS)
