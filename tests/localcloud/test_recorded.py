"""The local cloud's answers are those that were recorded of Google's interfaces; what differs is said, with the reason.

The facts are of public recordings of another project, with other names: mostly what comes back though nobody sent it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.resource import ENABLED_API
from tests.localcloud.calls import sent

if TYPE_CHECKING:
    from localcloud.provider import ResourceProvider
    from localcloud.resource import Cloud

ANSWERS = json.loads((Path(__file__).parent / "recorded" / "answers.json").read_text())


def value_at(found: Any, path: str) -> Any:
    for step in path.split("."):
        position = int(step) if step.isdecimal() else step
        if isinstance(position, int) and position >= len(found):
            return None
        found = found[position]
    return found


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer["name"])
def test_the_answer_is_the_recorded_one(cloud: Cloud, provider: ResourceProvider, answer: dict[str, Any]) -> None:
    for api in answer["apis"]:
        cloud.store.put(ENABLED_API, f"demo-project/{api}", {"id": api})
    for before in answer.get("first", ()):
        assert sent(provider, before["type"], None, before["sent"])[1] == ""
    found, refused = sent(provider, answer["type"], None, answer["sent"])
    if "changed" in answer:
        assert refused == ""
        found, refused = sent(provider, answer["type"], found, answer["changed"])
    if answer.get("deleted"):
        assert sent(provider, answer["type"], found, None) == (None, "")
        assert provider.read(answer["type"], found) is None
    assert answer.get("refused", "") in refused
    assert bool(refused) == ("refused" in answer)
    assert {path: value_at(found, path) for path in answer["answered"]} == answer["answered"]


def test_enough_is_compared_to_mean_something() -> None:
    assert len({answer["type"] for answer in ANSWERS}) >= 12
    assert sum(len(answer["answered"]) for answer in ANSWERS) >= 160
    assert all(reason for answer in ANSWERS for reason in answer["differs"].values())
