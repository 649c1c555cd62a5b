"""The local cloud's answers are those that were recorded of Google's interfaces; what differs is said, with the reason.

The facts are of public recordings of another project, with other names: mostly what comes back though nobody sent it.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from localcloud import google
from localcloud.circumstances import Circumstances, Delays
from localcloud.provider import ResourceProvider, SchemaSource
from localcloud.resource import ENABLED_API, Cloud
from localcloud.store import Store
from localcloud.terraform import planning
from localcloud.terraform.faults import Fault
from localcloud.terraform.model import Refused
from localcloud.terraform.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from localcloud.terraform.model import Block

ANSWERS = json.loads((Path(__file__).parent / "recorded" / "answers.json").read_text())


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    store = Store(tmp_path)
    by_the_clock = Delays(patience=0.001)  # nobody else calls here, whose calls a grant could wait for
    yield Cloud(store, circumstances=Circumstances(numbers={"demo-project": "123456789012"}, delays=by_the_clock))
    store.close()


@cache
def block(kind: str) -> Block:
    return google.BINDINGS.resource_schemas([kind])[kind]


@pytest.fixture(scope="module")
def source() -> SchemaSource:
    def resources(kinds: Iterable[str]) -> dict[str, Block]:
        return {kind: block(kind) for kind in kinds}

    return SchemaSource(provider=google.BINDINGS.provider_schema(), resources=resources, mentioned=set)


@pytest.fixture
def provider(cloud: Cloud, source: SchemaSource) -> ResourceProvider:
    provider = ResourceProvider(cloud=cloud, services=google.SERVICES, schema=source, traffic=Traffic(0), fault=Fault())
    provider.configure({"project": "demo-project", "region": "us-central1"})
    return provider


def sent(provider: ResourceProvider, kind: str, prior: Any, config: Any) -> tuple[Any, str]:
    """What comes back for what was sent, and why it was refused; with None as what was sent it is deleted."""
    config = config and planning.conform(block(kind), config)
    computed = {name for name, attribute in block(kind).attributes.items() if prior and attribute.computed}
    proposed = config and config | {name: prior[name] for name in computed if config[name] is None}
    planned, _ = provider.plan(kind, prior, proposed, config)
    try:
        found, refused = provider.apply(kind, prior, planned, config)
    except Refused as error:
        return None, str(error)
    return found, str(refused or "")


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
