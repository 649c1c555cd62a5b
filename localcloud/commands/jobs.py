"""`gcloud run jobs` and `gcloud scheduler jobs`: run them, and list what was run.

https://cloud.google.com/sdk/gcloud/reference/run/jobs
https://cloud.google.com/sdk/gcloud/reference/scheduler/jobs
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from localcloud.clock import Clock, duration
from localcloud.commands.commands import Command, Unknown, number
from localcloud.services.cloudscheduler import ATTEMPT, schedule_of
from localcloud.terraform.model import Object, Problem, Refused, objects, strings, text

if TYPE_CHECKING:
    from localcloud.commands.commands import Call

_POLL_S = 0.5
_JOB = "google_cloud_run_v2_job"
_SCHEDULE = "google_cloud_scheduler_job"
_EXECUTION = "run.execution"


def _name(call: Call, kind: str) -> str:
    """The full name of the job that is meant, by its name and, if that is not enough, by where it is."""
    known = call.cloud.store.all(kind)
    meant = [job for job in known if call.options.job in (text(job, "name"), text(job, "id"))]
    if len(meant) > 1:
        meant = [job for job in meant if call.region == (text(job, "location") or text(job, "region"))]
    if len(meant) == 1:
        return text(meant[0], "id")
    names = ", ".join(text(job, "id") for job in known) or "none"
    raise Refused(Problem(f"no job {call.options.job} in region {call.region or '(none)'}; known jobs: {names}"))


def _execute(call: Call) -> None:
    options, container, overrides = call.options, Object(), Object()
    if options.args is not None:
        container |= {"args": [*_list(options.args)]} if options.args else {"clearArgs": True}
    if options.update_env_vars:
        pairs = (pair.partition("=") for pair in _list(options.update_env_vars))
        container |= {"env": [{"name": name, "value": value} for name, _, value in pairs]}
    if container:
        overrides["containerOverrides"] = [container]
    if options.tasks:
        overrides["taskCount"] = number("tasks", options.tasks)
    if options.task_timeout:
        overrides["timeout"] = f"{_seconds(options.task_timeout)}s"
    body: Object = {"overrides": overrides} if overrides else {}
    execution = text(call.ask("POST", f"/v2/{_name(call, _JOB)}:run", body), "metadata", "name")
    short = execution.rpartition("/")[2]
    call.told.append(f"Execution [{short}] has started running.")
    if not options.wait:
        return
    while not text(found := call.cloud.store.get(_EXECUTION, execution) or {}, "completionTime"):
        time.sleep(_POLL_S)
    if message := text(found, "conditions", 0, "message"):
        raise Refused(Problem(f"Execution [{short}] has failed: {message}"))
    call.told.append(f"Execution [{short}] has successfully completed.")


def _list_executions(call: Call) -> None:
    found = [it for it in call.cloud.store.all(_EXECUTION) if call.options.job in ("", text(it, "job"))]
    found.sort(key=lambda it: text(it, "createTime"), reverse=True)
    call.table(
        [_row(execution) for execution in found],
        {"EXECUTION": "execution", "STATE": "state", "EXIT": "exit", "CREATED": "createTime", "ARGS": "arguments"},
    )


def _row(execution: Object) -> Object:
    """An execution, and what of it stands in a line."""
    codes = [text(task, "lastAttemptResult", "exitCode") for task in objects(execution, "tasks")]
    return {
        **execution,
        "execution": text(execution, "name").rpartition("/")[2],
        "state": text(execution, "conditions", 0, "state").removeprefix("CONDITION_").lower() or "running",
        "exit": ",".join(codes),
        "arguments": " ".join(strings(execution, "args")),
    }


def _list_schedules(call: Call) -> None:
    rows, now = list[Object](), Clock(call.cloud.store).now()
    for job in call.cloud.store.all(_SCHEDULE):
        due = schedule_of(job).after(now) if text(job, "state") == "ENABLED" else None
        last = call.cloud.store.get(ATTEMPT, text(job, "id")) or {}
        called = f"{text(last, 'status')} at {text(last, 'time')[:19]}Z" if last else "never called"
        rows.append({**job, "due": f"{due:%Y-%m-%dT%H:%MZ}" if due else "", "called": called})
    columns = {"NAME": "name", "SCHEDULE": "schedule", "TIME_ZONE": "time_zone", "STATE": "state"}
    call.table(rows, columns | {"DUE": "due", "LAST_CALL": "called"})


def _run_schedule(call: Call) -> None:
    name = _name(call, _SCHEDULE)
    call.ask("POST", f"/v1/{name}:run", {})
    status = text(call.cloud.store.get(ATTEMPT, name) or {}, "status")
    if status != "OK":
        raise Refused(Problem(f"{name}: {status}"))
    call.told.append(f"{name}: {status}")


def _seconds(value: str) -> int:
    """A time such as `600`, `600s` or `6h` (https://cloud.google.com/sdk/gcloud/reference/topic/datetimes)."""
    try:
        return int(value) if value.isdigit() else int(duration(value).total_seconds())
    except ValueError as error:
        raise Unknown(f"argument --task-timeout: {error}") from error


def _list(value: str) -> list[str]:
    """Items between commas, or between another delimiter as in `^;^a;b`.

    https://cloud.google.com/sdk/gcloud/reference/topic/escaping
    """
    if value.startswith("^") and "^" in value[1:]:
        delimiter, _, rest = value[1:].partition("^")
        return rest.split(delimiter)
    return value.split(",")


COMMANDS = {
    "run jobs execute": Command(
        run=_execute,
        positional=["job"],
        flags={"args": None, "update-env-vars": "", "tasks": "", "task-timeout": ""},
        switches=["wait"],
    ),
    "run jobs executions list": Command(run=_list_executions, flags={"job": ""}, lists=True),
    "scheduler jobs list": Command(run=_list_schedules, lists=True),
    "scheduler jobs run": Command(run=_run_schedule, positional=["job"]),
}
