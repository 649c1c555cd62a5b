"""The synthesized documents are those that were reviewed; `make snapshots` accepts new ones."""

import json
from collections import Counter

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from tests.stacks import documents

every_document = pytest.mark.parametrize(
    ("environment", "stack"), [(name, stack) for name in documents.NAMES for stack in documents.STACKS]
)


@pytest.fixture
def json_snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(JSONSnapshotExtension)


@every_document
def test_document_is_the_reviewed_one(environment: str, stack: str, json_snapshot: SnapshotAssertion) -> None:
    assert documents.document(environment, stack) == json_snapshot


@every_document
def test_counts_by_type_are_the_reviewed_ones(environment: str, stack: str, json_snapshot: SnapshotAssertion) -> None:
    counts = Counter(address.split(".")[0] for address in documents.resources(environment, stack))
    assert dict(sorted(counts.items())) == json_snapshot


@every_document
def test_no_path_of_a_machine_is_in_the_document(environment: str, stack: str) -> None:
    strings = json.dumps(documents.document(environment, stack))
    assert str(documents.ENVIRONMENTS.parents[2]) not in strings
    assert "/home/" not in strings
