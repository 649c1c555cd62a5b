"""Cloud Run's promises to a job: its container, its retries and limits, what is recorded, and who may run it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from containers import images
from containers.engine import Engine
from harness.waiting import wait_for
from localcloud.machine.identity import IdentityProvider
from localcloud.machine.template import ACCOUNT_LABEL
from localcloud.services.run_jobs import Job
from tests.localcloud.machine.job_place import CLOCK, PARENT, WORKER, JobPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from containers.container import Container

SAYS = """
import json, os, sys
names = ["LEVEL", "SURROUNDED", *(name for name in os.environ if name.startswith("CLOUD_RUN_"))]
print(json.dumps({"severity": "NOTICE", "message": "told", "args": sys.argv[1:], "secret": os.environ["SECRET"][::-1],
                  **{name: os.environ.get(name) for name in names}, "service": os.environ.get("K_SERVICE")}))
print("a line of text", file=sys.stderr)
sys.exit(int(os.environ.get("STATUS", 0)))
"""
FAILS_AT_FIRST = "import os, sys; sys.exit(3 if os.environ['CLOUD_RUN_TASK_ATTEMPT'] == '0' else 0)"
EATS = "import time\ntime.sleep(1)\nkept = []\nwhile True: kept.append(bytearray(1 << 24))"
WAITS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("waiting", flush=True)
time.sleep(300)
"""
ADA = "ada@example.com"
SECRET = {"name": "SECRET", "value_source": [{"secret_key_ref": [{"secret": "word", "version": "1"}]}]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobPlace]:
    engine = Engine()
    place = JobPlace(tmp_path_factory.mktemp("jobs"), engine, images.build(engine), IdentityProvider(clients={}.get))
    place.secret("word", "letters")
    yield place
    place.close()


def exit_codes(execution: dict[str, Any]) -> list[int]:
    return [task["lastAttemptResult"]["exitCode"] for task in execution["tasks"]]


def test_an_execution_is_told_what_google_tells_and_leaves_a_record_and_log_entries(place: JobPlace) -> None:
    job = place.job("says", SAYS, "usual", env=[SECRET, {"name": "LEVEL", "value": "info"}])
    execution = place.run(job)
    assert execution["conditions"][0]["state"] == "CONDITION_SUCCEEDED"
    assert (execution["succeededCount"], execution["failedCount"], exit_codes(execution)) == (1, 0, [0])
    short = execution["name"].rpartition("/")[2]
    (told,) = place.log(f'labels."run.googleapis.com/execution_name"="{short}" AND jsonPayload.message="told"')
    assert told["severity"] == "NOTICE"
    assert told["resource"]["labels"] == {"job_name": "says", "location": "here", "project_id": "tests"}
    assert told["logName"] == "projects/tests/logs/run.googleapis.com%2Fstdout"
    payload = told["jsonPayload"]
    assert (payload["args"], payload["secret"], payload["LEVEL"]) == (["usual"], "srettel", "info")
    assert payload["CLOUD_RUN_JOB"] == "says"
    assert [payload[f"CLOUD_RUN_TASK_{name}"] for name in ("INDEX", "ATTEMPT", "COUNT")] == ["0", "0", "1"]
    assert (payload["SURROUNDED"], payload["service"]) == ("yes", None)
    (line,) = place.log('log_id("run.googleapis.com/stderr") AND textPayload:"a line of text"')
    assert line["severity"] == "DEFAULT"
    assert place.log('log_id("run.googleapis.com/varlog/system") AND textPayload="Container called exit(0)."')
    job_now: Any = place.cloud.store.get("google_cloud_run_v2_job", job)
    assert job_now["execution_count"] == 1
    assert job_now["latest_created_execution"][0]["name"] == short


def test_one_execution_may_have_other_arguments_variables_tasks_and_limits(place: JobPlace) -> None:
    job = place.job("differs", SAYS, "usual", env=[SECRET])
    container = {"args": ["-c", SAYS, "verify", "--sample=0"], "env": [{"name": "STATUS", "value": "75"}]}
    execution = place.run(job, containerOverrides=[container], taskCount=2, timeout="30s")
    assert exit_codes(execution) == [75, 75]
    assert execution["failedCount"] == 2
    assert execution["timeout"] == "30s"
    assert "failed with message: The container exited with an error." in execution["conditions"][0]["message"]
    told = place.log('resource.labels.job_name="differs" AND jsonPayload.message="told"')
    assert {entry["jsonPayload"]["CLOUD_RUN_TASK_INDEX"] for entry in told} == {"0", "1"}
    assert {tuple(entry["jsonPayload"]["args"]) for entry in told} == {("verify", "--sample=0")}
    exits = place.log('resource.labels.job_name="differs" AND textPayload="Container called exit(75)."')
    assert {entry["severity"] for entry in exits} == {"WARNING"}


def test_a_task_that_fails_is_tried_again_as_often_as_the_job_says(place: JobPlace) -> None:
    execution = place.run(place.job("again", FAILS_AT_FIRST, max_retries=1))
    assert execution["conditions"][0]["state"] == "CONDITION_SUCCEEDED"
    assert execution["retriedCount"] == 1
    attempts = place.log('resource.labels.job_name="again" AND textPayload:"Container called exit"')
    found = {entry["labels"]["run.googleapis.com/task_attempt"]: entry["textPayload"] for entry in attempts}
    assert found == {"0": "Container called exit(3).", "1": "Container called exit(0)."}


@pytest.mark.parametrize(
    ("script", "task", "message", "log"),
    [
        (
            WAITS,
            {"timeout": "2s"},
            "The configured timeout was reached.",
            'textPayload:"reached the maximum timeout of 2"',
        ),
        (EATS, {}, "The configured memory limit was reached.", 'severity=ERROR "Memory limit of 128 MiB exceeded"'),
    ],
    ids=["timeout", "memory"],
)
def test_a_limit_ends_a_task(place: JobPlace, script: str, task: dict[str, Any], message: str, log: str) -> None:
    execution = place.run(place.job("limited", script, **task))
    assert execution["conditions"][0]["message"].endswith(message)
    assert place.log(f'resource.labels.job_name="limited" AND {log}')


def begun(place: JobPlace, name: str) -> tuple[str, Container]:
    """An execution of a job that waits for its end, and its container."""
    job = place.job(name, WAITS)
    place.grant("roles/run.jobsExecutorWithOverrides", job=job)
    execution = place.call("POST", f"/v2/{job}:run").json()["metadata"]["name"]
    wait_for(lambda: place.log(f'resource.labels.job_name="{name}" AND textPayload="waiting"'), "its first line")
    (container,) = place.engine.containers(f"localcloud={place.label}")
    return execution, container


def test_a_container_that_is_killed_has_failed_and_that_is_in_the_log(place: JobPlace) -> None:
    execution, container = begun(place, "killed")
    container.signal("KILL")
    assert place.ended(execution)["conditions"][0]["message"].endswith("The container exited with an error.")
    (entry,) = place.log('resource.labels.job_name="killed" AND log_id("run.googleapis.com/varlog/system")')
    assert (entry["severity"], entry["textPayload"]) == ("WARNING", "Container terminated on signal 9.")


def test_an_execution_is_cancelled_and_is_its_account_until_then(place: JobPlace) -> None:
    execution, container = begun(place, "cancelled")
    assert container.labels()[ACCOUNT_LABEL] == WORKER
    assert place.call("POST", f"/v2/{execution}:cancel").status_code == 200
    ended = place.ended(execution)
    assert (ended["cancelledCount"], ended["conditions"][0]["message"]) == (1, "The execution was cancelled.")


def test_what_runs_when_the_local_cloud_dies_is_taken_over_with_its_status(place: JobPlace) -> None:
    job = place.job("outlives", "import time, sys\ntime.sleep(3)\nprint('late', flush=True)\nsys.exit(7)")
    place.grant("roles/run.jobsExecutorWithOverrides", job=job)
    execution = place.call("POST", f"/v2/{job}:run").json()["metadata"]["name"]
    wait_for(lambda: place.engine.containers(f"localcloud={place.label}"), "its container")
    for running in place.executions._running.values():
        assert running.task
        place.loop.call_soon_threadsafe(running.task.cancel)
    place.executions._running.clear()
    second = place.make_executions()
    place.do(second.resume())
    ended = place.ended(execution)
    assert exit_codes(ended) == [7]
    assert place.log('resource.labels.job_name="outlives" AND textPayload="late"')


def test_who_may_run_a_job(place: JobPlace) -> None:
    job = place.job("guarded", SAYS)
    path = f"/v2/{job}:run"
    assert place.call("POST", path, email="").status_code == 401
    refused = place.call("POST", path)
    assert refused.status_code == 403
    assert refused.json()["error"] == {
        "code": 403,
        "message": f"Permission 'run.jobs.run' denied on resource '{job}' (or resource may not exist).",
        "status": "PERMISSION_DENIED",
    }
    place.grant("roles/run.invoker", job=job)
    overridden = place.call("POST", path, body={"overrides": {"taskCount": 2}})
    assert "Permission 'run.jobs.runWithOverrides' denied" in overridden.json()["error"]["message"]
    assert place.call("GET", f"/v2/{job}/executions").status_code == 403
    place.grant("roles/run.viewer", job=job)
    assert place.call("GET", f"/v2/{job}/executions").json() == {}
    other = place.job("other", SAYS)
    assert place.call("POST", f"/v2/{other}:run").status_code == 403  # the role is on one job alone


def test_what_cannot_run_is_refused_with_the_reason(place: JobPlace) -> None:
    job = place.job("unreadable", SAYS, env=[{**SECRET, "value_source": [{"secret_key_ref": [{"secret": "nothing"}]}]}])
    place.grant("roles/run.jobsExecutorWithOverrides", job=job)
    refused = place.call("POST", f"/v2/{job}:run")
    assert refused.status_code == 400
    assert "nothing" in refused.json()["error"]["message"]
    place.grant("roles/run.admin", ADA, project="tests")
    missing = place.call("POST", f"/v2/{PARENT}/jobs/missing:run", email=ADA)
    assert missing.status_code == 404
    assert "Resource 'missing' of kind 'JOB' in region 'here' in project 'tests' does not exist." in missing.text
    for body in ({"overrides": {"image": "x"}}, {"overrides": {"timeout": "soon"}}, {"overrides": []}, []):
        assert place.call("POST", f"/v2/{job}:run", email=ADA, body=body).status_code == 400, body
    assert place.executions_of(job) == []


def test_a_schedule_runs_its_job_when_it_is_due_and_once_however_far_the_clock_is_pushed(place: JobPlace) -> None:
    job = place.job("nightly", SAYS, env=[SECRET])
    place.grant("roles/run.invoker", job=job)
    place.schedule(job)

    async def open_scheduler() -> None:
        place.scheduler.open()

    place.do(open_scheduler())
    assert place.executions_of(job) == []
    place.push(days=7)
    wait_for(lambda: place.executions_of(job), "an execution")
    (execution,) = place.executions_of(job)
    assert place.ended(execution["name"])["succeededCount"] == 1
    place.push(days=1)
    wait_for(lambda: len(place.executions_of(job)) == 2, "another execution")
    finished = (
        'resource.type="cloud_scheduler_job" AND jsonPayload."@type":"AttemptFinished" AND httpRequest.status=200'
    )
    wait_for(lambda: len(place.log(finished)) == 2, "the end of both calls")
    assert {entry["severity"] for entry in place.log(finished)} == {"INFO"}
    place.do(place.scheduler.close())


def test_a_schedule_whose_account_may_not_run_the_job_is_refused_and_that_is_in_the_log(place: JobPlace) -> None:
    job = place.job("forbidden", SAYS)
    name = place.schedule(job, email=WORKER)
    assert place.call("POST", f"/v1/{name}:run", email=ADA).status_code == 403
    place.grant("roles/cloudscheduler.admin", ADA, project="tests")
    assert place.call("POST", f"/v1/{name}:run", email=ADA).status_code == 200
    (entry,) = place.log('resource.type="cloud_scheduler_job" AND severity=ERROR')
    assert entry["jsonPayload"]["status"] == "PERMISSION_DENIED"
    assert entry["jsonPayload"]["debugInfo"] == "URL_ERROR-ERROR_OTHER. Original HTTP response code number = 403"
    assert entry["resource"]["labels"]["job_id"] == "nightly"
    assert place.executions_of(job) == []


@pytest.mark.parametrize(
    ("changes", "attempts", "status"),
    [
        ({"retry_config": [{"retry_count": 2, "min_backoff_duration": "0.1s", "max_doublings": 1}]}, 3, "NOT_FOUND"),
        ({"uri": "https://elsewhere.example/"}, 1, "UNAVAILABLE"),
        ({"email": "gone@tests.iam.gserviceaccount.com"}, 1, "UNAUTHENTICATED"),
        ({"email": ""}, 1, "UNAUTHENTICATED"),
        (
            {"uri": "https://here-run.googleapis.com/apis/run.googleapis.com/v1/namespaces/tests/jobs/no:run"},
            1,
            "NOT_FOUND",
        ),
    ],
    ids=["count", "elsewhere", "no account", "no token", "older interface"],
)
def test_a_call_that_fails_is_made_again_as_its_retries_say(
    place: JobPlace, changes: dict[str, Any], attempts: int, status: str
) -> None:
    place.grant("roles/cloudscheduler.admin", ADA, project="tests")
    place.grant("roles/run.admin", CLOCK, project="tests")
    assert attempts_of(place, changes) == [status] * attempts


def test_a_call_that_fails_is_made_again_for_as_long_as_its_retries_say(place: JobPlace) -> None:
    place.grant("roles/cloudscheduler.admin", ADA, project="tests")
    place.grant("roles/run.admin", CLOCK, project="tests")
    began = time.monotonic()
    found = attempts_of(place, {"retry_config": [{"max_retry_duration": "2s", "min_backoff_duration": "0.3s"}]})
    assert time.monotonic() - began >= 2
    assert len(found) > 1


def attempts_of(place: JobPlace, changes: dict[str, Any]) -> list[str]:
    """The statuses of the attempts that one call of a schedule for a job that is not there comes to."""
    before = len(place.log('jsonPayload."@type":"AttemptFinished"'))
    name = place.schedule(f"{PARENT}/jobs/no", **changes)
    place.call("POST", f"/v1/{name}:run", email=ADA)
    return [entry["jsonPayload"]["status"] for entry in place.log('jsonPayload."@type":"AttemptFinished"')[before:]]


def test_an_execution_of_a_chosen_name_is_run_once_and_waited_for(place: JobPlace) -> None:
    job: Any = place.cloud.store.get(Job.type, place.job("once", "print('ran')"))
    for _ in range(2):
        done = place.do(place.executions.run_once(job, "once-a1b2", wait=True))
        assert done["conditions"][0]["state"] == "CONDITION_SUCCEEDED"
    (execution,) = place.executions_of(job["id"])
    assert execution["name"].endswith("/executions/once-a1b2")
