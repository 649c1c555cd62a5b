"""What the comparison with CDK Terrain calls a difference."""

import json
from typing import Any

from tools.cdktn.__main__ import comparable, differences


def document(**resource: Any) -> dict[str, Any]:
    return {"resource": {"google_storage_bucket": {"artifacts": resource}}}


def test_a_value_that_differs_is_shown() -> None:
    ours, theirs = ({"cdk.tf.json": comparable(document(name="b", force_destroy=flag))} for flag in (True, False))
    shown = "\n".join(differences(ours, theirs))
    assert '-        "force_destroy": true,' in shown
    assert '+        "force_destroy": false,' in shown


def test_a_document_that_is_missing_is_shown() -> None:
    assert list(differences({"cdk.tf.json": comparable(document(name="b"))}, {}))


def test_the_synthesizers_notes_and_the_bindings_version_may_differ() -> None:
    ours = {
        "//": {"version": "0.21.0"},
        "terraform": {"required_providers": {"google": {"source": "google", "version": "6"}}},
    }
    theirs = json.loads(
        json.dumps(ours)
        .replace("0.21.0", "0.24.0")
        .replace('"google", "version": "6"', '"hashicorp/google", "version": "8"')
    )
    assert ours != theirs
    assert comparable(ours) == comparable(theirs)
