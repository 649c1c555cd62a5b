"""gcloud's commands for jobs, schedules and the log: what they print, and what they say of a mistake."""

from __future__ import annotations

import shlex
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from localcloud.clock import Clock
from localcloud.commands.commands import Answer, Call, run
from localcloud.commands.server import COMMANDS
from localcloud.machine.logbook import Logbook, Source
from localcloud.resource import Cloud
from localcloud.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.machine.machine import Machine
    from localcloud.terraform.model import Object

SOURCE = Source(project="acme", resource="cloud_run_job", resource_labels={"job_name": "gc"}, labels={})
EXECUTION = "projects/acme/locations/here/jobs/gc/executions/gc-1"


class Recorder(Call):
    """A shell whose calls of Google's interface are noted, and whose executions end at once."""

    asked: tuple[str, str, Any]
    failure = ""

    def ask(self, method: str, path: str, body: Object) -> Any:
        self.asked = method, path, body
        done: Object = {"name": EXECUTION, "job": "gc", "createTime": "1", "completionTime": "2", "args": ["gc"]}
        condition: Object = {"state": "CONDITION_FAILED" if self.failure else "CONDITION_SUCCEEDED"}
        self.cloud.store.put(
            "run.execution", EXECUTION, {**done, "conditions": [condition | {"message": self.failure}]}
        )
        self.cloud.store.put("cloudscheduler.attempt", path[4:].removesuffix(":run"), {"status": "OK"})
        return {"metadata": {"name": EXECUTION}}


@pytest.fixture
def call(tmp_path: Path) -> Iterator[Recorder]:
    """A cloud with a job in two regions, a schedule and three lines of a log."""
    store = Store(tmp_path)
    for region in ("here", "there"):
        name = f"projects/acme/locations/{region}/jobs/gc"
        store.put("google_cloud_run_v2_job", name, {"id": name, "name": "gc", "project": "acme", "location": region})
    schedule: Object = {"id": "projects/acme/locations/here/jobs/nightly", "name": "nightly", "schedule": "0 3 * * *"}
    schedule |= {"time_zone": "Etc/UTC", "state": "ENABLED", "region": "here"}
    store.put("google_cloud_scheduler_job", str(schedule["id"]), schedule)
    logbook = Logbook(tmp_path / "logs", Clock(store))
    for line in ("one", '{"severity": "error", "message": "two"}', "{'three'}"):
        logbook.line(SOURCE, "stderr", line)
    machine = cast("Machine", SimpleNamespace(logs=tmp_path / "logs"))
    yield Recorder(cloud=Cloud(store), machine=machine, project="acme", region="here")
    store.close()


def gcloud(call: Call, command: str) -> Answer:
    call.out, call.told, call.region = [], [], "here"
    return run(COMMANDS, call, shlex.split(command))


def test_an_execution_runs_the_job_of_the_region_that_is_set_or_named(call: Recorder) -> None:
    assert gcloud(call, "run jobs execute gc").err == "Execution [gc-1] has started running.\n"
    assert call.asked == ("POST", "/v2/projects/acme/locations/here/jobs/gc:run", {})
    gcloud(call, "run jobs execute gc --region=there --account=ann@acme.example")
    assert call.asked[1] == "/v2/projects/acme/locations/there/jobs/gc:run"
    assert call.options.account == "ann@acme.example"


@pytest.mark.parametrize(
    ("options", "overrides"),
    [
        ("--args=gc,--older-than=0s", {"containerOverrides": [{"args": ["gc", "--older-than=0s"]}]}),
        ("--args=^;^import;a,b", {"containerOverrides": [{"args": ["import", "a,b"]}]}),
        ("--args=", {"containerOverrides": [{"clearArgs": True}]}),
        (
            "--update-env-vars=A=1,B=x=y",
            {"containerOverrides": [{"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "x=y"}]}]},
        ),
        ("--tasks=3", {"taskCount": 3}),
        ("--task-timeout=600", {"timeout": "600s"}),
        ("--task-timeout=600s", {"timeout": "600s"}),
        ("--task-timeout=6h", {"timeout": "21600s"}),
    ],
)
def test_an_execution_has_what_its_options_say(call: Recorder, options: str, overrides: Object) -> None:
    assert gcloud(call, f"run jobs execute gc {options}").status == 0
    assert call.asked[2] == {"overrides": overrides}


def test_who_waits_for_an_execution_gets_its_outcome(call: Recorder) -> None:
    assert gcloud(call, "run jobs execute gc --wait").err.endswith("has successfully completed.\n")
    call.failure = "The container exited with an error."
    failed = gcloud(call, "run jobs execute gc --wait")
    assert failed.status == 1
    assert "Execution [gc-1] has failed: The container exited with an error." in failed.err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("run jobs execute gc --region=mars", "no job gc in region mars; known jobs: projects/acme/locations/here/"),
        ("run jobs execute cg", "no job cg in region here; known jobs: projects/acme/locations/here/jobs/gc"),
        ("run jobs execute gc --task-timeout=soon", "argument --task-timeout: 'soon' is not like"),
        ("run jobs execute gc --tasks=many", "argument --tasks: 'many' is not a number"),
        ("run jobs execute", "the following arguments are required: job"),
        ("run jobs cancel gc", "the local cloud has no `gcloud run jobs cancel"),
        ("scheduler jobs run daily", "no job daily in region here; known jobs: projects/acme/locations/here/jobs/ni"),
        ("logging read level=ERROR", "Field not found: 'level'"),
        ("logging read severity=ERROR --limit=few", "argument --limit: 'few' is not a number"),
    ],
)
def test_a_mistake_is_named(call: Recorder, command: str, said: str) -> None:
    answer = gcloud(call, command)
    assert answer.status != 0
    assert said in answer.err


def test_executions_and_schedules_are_listed(call: Recorder) -> None:
    gcloud(call, "run jobs execute gc")
    line = gcloud(call, "run jobs executions list --job=gc").out.splitlines()[1]
    assert line.split() == ["gc-1", "succeeded", "-", "1", "gc"]
    assert '"job": "gc"' in gcloud(call, "run jobs executions list --format=json").out
    assert "Listed 0 items." in gcloud(call, "run jobs executions list --job=other").err
    line = gcloud(call, "scheduler jobs list").out.splitlines()[1]
    assert line.startswith("nightly")
    assert line.endswith("T03:00Z  never called")
    assert gcloud(call, "scheduler jobs run nightly").status == 0
    assert call.asked[1] == "/v1/projects/acme/locations/here/jobs/nightly:run"


def test_the_log_is_read_newest_first(call: Recorder) -> None:
    first, second = gcloud(call, "logging read 'severity>=ERROR OR textPayload:three' --limit=2").out.splitlines()
    assert '"textPayload": "{\'three\'}"' in first
    assert '"jsonPayload": {"message": "two"}' in second
    assert len(gcloud(call, "logging read").out.splitlines()) == 3
