"""The local cloud's answers are those that were recorded of Google's interfaces; what differs is said, with the reason.

The facts are of public recordings of another project, with other names: mostly what comes back though nobody sent it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from localcloud import planning, schema
from localcloud.circumstances import Circumstances
from localcloud.faults import Fault
from localcloud.provider import ResourceProvider, SchemaSource, Services
from localcloud.resource import ENABLED_API, Cloud
from localcloud.services import RESOURCES, admit
from localcloud.store import Store
from localcloud.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWERS = json.loads((Path(__file__).parent / "recorded" / "answers.json").read_text())


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    store = Store(tmp_path)
    yield Cloud(store, circumstances=Circumstances(numbers={"demo-project": "123456789012"}))
    store.close()


def made(cloud: Cloud, answer: dict[str, Any]) -> Any:
    """The object that comes back for what was sent."""
    source = SchemaSource(provider=schema.provider_schema(), resources=schema.resource_schemas, mentioned=set)
    services = Services(resources=[resource() for resource in RESOURCES], admit=admit)
    provider = ResourceProvider(cloud=cloud, services=services, schema=source, traffic=Traffic(0), fault=Fault())
    provider.configure({"project": "demo-project", "region": "us-central1"})
    for api in answer["apis"]:
        cloud.store.put(ENABLED_API, f"demo-project/{api}", {"id": api})
    block = schema.resource_schemas([answer["type"]])[answer["type"]]
    config = planning.conform(block, answer["sent"])
    planned, _ = provider.plan(answer["type"], None, config, config)
    found, refused = provider.apply(answer["type"], None, planned, config)
    assert refused is None
    return found


def value_at(found: Any, path: str) -> Any:
    for step in path.split("."):
        position = int(step) if step.isdecimal() else step
        if isinstance(position, int) and position >= len(found):
            return None
        found = found[position]
    return found


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer["name"])
def test_the_answer_is_the_recorded_one(cloud: Cloud, answer: dict[str, Any]) -> None:
    found = made(cloud, answer)
    assert {path: value_at(found, path) for path in answer["answered"]} == answer["answered"]


def test_enough_is_compared_to_mean_something() -> None:
    assert len({answer["type"] for answer in ANSWERS}) >= 6
    assert sum(len(answer["answered"]) for answer in ANSWERS) >= 60
    assert all(reason for answer in ANSWERS for reason in answer["differs"].values())
