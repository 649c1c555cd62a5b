"""An execution of a Cloud Run job as Google's API shows it.

https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs.executions
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localcloud.machine.logbook import Source
from localcloud.services import run_jobs
from localcloud.terraform.model import Object, Value, objects, strings, text

if TYPE_CHECKING:
    from localcloud.machine.tasks import Ended


@dataclass(frozen=True, kw_only=True, slots=True)
class Overrides:
    """The differences of one execution from its job.

    https://cloud.google.com/run/docs/execute/jobs#override-job-configuration

    Attributes:
        args: Arguments of the container; None for the job's.
        env: Variables in addition, or with other values.
        task_count: Tasks; 0 for the job's.
        timeout: Seconds of a task, such as `600s`; "" for the job's.
    """

    args: tuple[str, ...] | None = None
    env: dict[str, str] = field(default_factory=dict[str, str])
    task_count: int = 0
    timeout: str = ""

    def __bool__(self) -> bool:
        return self.args is not None or bool(self.env or self.task_count or self.timeout)


def begun(job: Object, name: str, overrides: Overrides, time: str) -> Object:
    """Returns an execution that begins.

    Args:
        job: The job.
        name: The execution's full name.
        overrides: What it has in another way than the job.
        time: When it begins, as Google writes it.
    """
    execution, task = objects(job, "template")[0], run_jobs.task_of(job)
    count = overrides.task_count or int(str(execution.get("task_count") or 1))
    args = overrides.args if overrides.args is not None else tuple(strings(task, "containers", 0, "args"))
    return {
        "args": [*args],
        "conditions": [],
        "createTime": time,
        "job": text(job, "name"),
        "maxRetries": task.get("max_retries") or 0,
        "name": name,
        "parallelism": execution.get("parallelism") or 0,
        "retriedCount": 0,
        "startTime": time,
        "taskCount": count,
        "tasks": [],
        "timeout": overrides.timeout or text(task, "timeout"),
    }


def note_attempt(record: Object, index: int, attempt: int, ended: Ended) -> None:
    """Notes how a task's latest attempt ended."""
    result: Object = {"exitCode": ended.status, "status": {"message": ended.message} if ended.message else {}}
    others = [it for it in objects(record, "tasks") if it.get("index") != index]
    listed: list[Value] = [*others, {"index": index, "lastAttemptResult": result, "retried": attempt}]
    record["tasks"] = listed


def note_end(record: Object, failed: int, message: str, time: str, *, cancelled: bool) -> None:
    """Notes the end of it: how many of its tasks failed, and why the first of them did."""
    record["succeededCount"] = int(str(record["taskCount"])) - failed
    record["cancelledCount" if cancelled else "failedCount"] = failed
    record["completionTime"] = time
    state = "CONDITION_FAILED" if message else "CONDITION_SUCCEEDED"
    condition: Object = {"lastTransitionTime": time, "state": state, "type": "Completed"}
    record["conditions"] = [condition | ({"message": message} if message else {})]


def short_name(record: Object) -> str:
    """The last part of its full name."""
    return text(record, "name").rpartition("/")[2]


def variables(record: Object, index: int, attempt: int) -> dict[str, str]:
    """The variables that Cloud Run gives a task.

    https://cloud.google.com/run/docs/container-contract#jobs-env-vars
    """
    return {
        "CLOUD_RUN_EXECUTION": short_name(record),
        "CLOUD_RUN_JOB": text(record, "job"),
        "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
        "CLOUD_RUN_TASK_COUNT": str(record["taskCount"]),
        "CLOUD_RUN_TASK_INDEX": str(index),
    }


def source(record: Object, index: int, attempt: int) -> Source:
    """The source of its log entries and metrics."""
    _, project, _, location, *_ = text(record, "name").split("/")
    return Source(
        project=project,
        resource="cloud_run_job",
        resource_labels={"job_name": text(record, "job"), "location": location},
        labels={
            "run.googleapis.com/execution_name": short_name(record),
            "run.googleapis.com/task_attempt": str(attempt),
            "run.googleapis.com/task_index": str(index),
        },
    )
