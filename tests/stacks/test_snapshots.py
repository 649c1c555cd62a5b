"""The synthesized documents are those that were reviewed; `make snapshots` accepts new ones.

The documents of the first environment are kept whole, the others as what differs from them.
"""

import json
from collections import Counter

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from tests.differences import TextSnapshot, differences
from tests.stacks import documents

BASE, *OTHERS = documents.NAMES
every_document = pytest.mark.parametrize(
    ("environment", "stack"), [(name, stack) for name in documents.NAMES for stack in documents.STACKS]
)


@pytest.mark.parametrize("stack", documents.STACKS)
def test_document_is_the_reviewed_one(stack: str, snapshot: SnapshotAssertion) -> None:
    assert documents.document(BASE, stack) == snapshot.use_extension(JSONSnapshotExtension)


@pytest.mark.parametrize("stack", documents.STACKS)
@pytest.mark.parametrize("environment", OTHERS)
def test_what_differs_is_what_was_reviewed(environment: str, stack: str, snapshot: SnapshotAssertion) -> None:
    found = differences(documents.document(BASE, stack), documents.document(environment, stack))
    assert found == snapshot.use_extension(TextSnapshot)


def test_counts_by_type_are_the_reviewed_ones(snapshot: SnapshotAssertion) -> None:
    found = {
        (stack, name): Counter(address.split(".")[0] for address in documents.resources(name, stack))
        for stack in documents.STACKS
        for name in documents.NAMES
    }
    kinds = sorted({(stack, kind) for (stack, _), counts in found.items() for kind in counts})
    rows = [(f"{stack} {kind}", *(found[stack, name][kind] for name in documents.NAMES)) for stack, kind in kinds]
    table = [f"{row[0]:<60}" + "".join(f"{cell:>8}" for cell in row[1:]) for row in [("", *documents.NAMES), *rows]]
    assert "\n".join(table) + "\n" == snapshot.use_extension(TextSnapshot)


@every_document
def test_no_path_of_a_machine_is_in_the_document(environment: str, stack: str) -> None:
    strings = json.dumps(documents.document(environment, stack))
    assert str(documents.ENVIRONMENTS.parents[2]) not in strings
    assert "/home/" not in strings
