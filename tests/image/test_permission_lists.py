"""The variable with the lists of people, and the look-ups of a request: what needs no container."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.image.owned import ADMIN, OWNER, READER, SETTINGS

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun import lookups
from mlflow_cloudrun.identity import Asked, asked
from mlflow_cloudrun.permissions import Permissions


def test_a_person_is_looked_up_once_a_request_and_a_run_once() -> None:
    runs = {"r1": "7"}
    calls: list[str] = []

    def get_user(email: str) -> object:
        calls.append(email)
        return object()

    def get_run(run: str) -> object:
        calls.append(run)
        return SimpleNamespace(info=SimpleNamespace(experiment_id=runs[run])) if run in runs else None

    user = lookups.once_a_request(get_user)
    for _ in range(2):
        request = asked.set(Asked(OWNER))
        assert user(OWNER) is user(OWNER)
        asked.reset(request)
    assert calls == [OWNER, OWNER]
    fetch = lookups.without_reading_runs(lambda get, name: get(name))
    assert fetch(get_run, "r2") is None
    runs["r2"] = "8"
    assert [fetch(get_run, run).info.experiment_id for run in ("r1", "r2", "r1")] == ["7", "8", "7"]
    assert calls[2:] == ["r2", "r1", "r2"]


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        "{}",
        json.dumps(SETTINGS | {"default": "ALL"}),
        json.dumps(SETTINGS | {"admins": []}),
        json.dumps(SETTINGS | {"admins": "root@example.com"}),
        json.dumps(SETTINGS | {"admins": ["root"]}),
        json.dumps(SETTINGS | {"readers": [ADMIN]}),
        json.dumps(SETTINGS | {"more": 1}),
        json.dumps(SETTINGS | {"teams": []}),
        *(
            json.dumps(SETTINGS | {"teams": {team: [OWNER]}})
            for team in ("a", "Vision", "..", "-a", "a_b", "default", "api")
        ),
        json.dumps(SETTINGS | {"teams": {"vision": OWNER}}),
        json.dumps(SETTINGS | {"teams": {"vision": [READER]}}),
    ],
)
def test_a_wrong_variable_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Permissions.of({"PERMISSIONS": text})


def test_addresses_are_the_same_in_any_case() -> None:
    found = Permissions.of({"PERMISSIONS": json.dumps(SETTINGS | {"admins": ["Root@Example.com"]})})
    assert found
    assert found.admins == {"root@example.com"}
