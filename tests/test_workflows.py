"""The workflows run what everybody can run, with no right that they do not need."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from containers.images import pinned_bases
from tests.pages import make_targets
from tools.docs import CHECKOUT

WORKFLOWS = {path.name: path.read_text() for path in (CHECKOUT / ".github" / "workflows").iterdir()}
PREPARATION = ("apt-get update && apt-get install ", "cosign login ")
"""What a step may do beside calling make: bring what tools/setup.sh takes for granted, and log in."""

every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def jobs(name: str) -> dict[str, dict[str, Any]]:
    return yaml.safe_load(WORKFLOWS[name])["jobs"]


def steps(name: str) -> Iterator[dict[str, Any]]:
    for job in jobs(name).values():
        yield from job.get("steps", [])


@every_workflow
def test_every_action_is_named_by_commit(name: str) -> None:
    used = re.findall(r"uses: (?!\./)(.*)", WORKFLOWS[name])
    assert used
    assert [line for line in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@every_workflow
def test_every_container_is_named_by_digest(name: str) -> None:
    images = {job["container"]["image"] for job in jobs(name).values() if "container" in job}
    assert images == {pinned_bases()["BASE_IMAGE"]}


@every_workflow
def test_only_the_release_may_write(name: str) -> None:
    assert yaml.safe_load(WORKFLOWS[name])["permissions"] == {}
    assert "pull_request_target" not in WORKFLOWS[name]
    may_write = {key for key, job in jobs(name).items() if "write" in job["permissions"].values()}
    assert may_write == ({"publish"} if name == "release.yml" else set())


@every_workflow
def test_no_step_keeps_a_credential_or_writes_one_into_a_command(name: str) -> None:
    checkouts = [step for step in steps(name) if "actions/checkout" in step.get("uses", "")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False] * len(checkouts)
    assert [step["run"] for step in steps(name) if "${{" in step.get("run", "")] == []


@every_workflow
def test_every_job_ends_in_time(name: str) -> None:
    assert [key for key, job in jobs(name).items() if "timeout-minutes" not in job and "uses" not in job] == []


@every_workflow
def test_a_job_calls_one_make_target_and_that_exists(name: str) -> None:
    for job in jobs(name).values():
        commands = [step["run"] for step in job.get("steps", []) if "run" in step]
        calls = [command for command in commands if not command.startswith(PREPARATION)]
        assert len(calls) == (0 if "uses" in job else 1)
        for call in calls:
            target = re.match(r'make ("\$TARGET"|[a-z-]+)', call)
            assert target, call
            matrix = job.get("strategy", {}).get("matrix", {}).get("include", [])
            named = {entry["target"] for entry in matrix} or {target[1]}
            assert named <= make_targets()
