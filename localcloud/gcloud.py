"""Commands in gcloud's own words for a cloud that runs: execute a job, call a schedule, read the log; and its clock.

https://cloud.google.com/sdk/gcloud/reference
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from localcloud import clock, daemon
from localcloud.resource import OWNER
from localcloud.store import Store
from localcloud.terraform.model import Object, objects, strings, text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

_POLL_S = 0.5
_JOB = "google_cloud_run_v2_job"
_SCHEDULE = "google_cloud_scheduler_job"
_FAILED = 1


class Failed(Exception):  # noqa: N818 - what happened
    """A command did not do what it was asked for; the message says why."""


def add_commands(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    """Adds the commands to those of the local cloud; each sets `command` to the function that does it."""
    run = subcommands.add_parser("run", help="jobs of Cloud Run: `run jobs execute JOB --wait --args=A,B`")
    jobs = _nested(run).add_parser("jobs", help="execute them, and list their executions")
    nested = _nested(jobs)
    execute = nested.add_parser("execute", help="run a job")
    execute.add_argument("job", help="its name, or its full name")
    execute.add_argument("--args", type=_list, help="other arguments than the job's, with commas")
    execute.add_argument("--update-env-vars", type=_pairs, default={}, metavar="NAME=VALUE,...", help="more variables")
    execute.add_argument("--tasks", type=int, default=0, help="another number of tasks")
    execute.add_argument("--task-timeout", default="", metavar="SECONDS", help="another limit for each task")
    execute.add_argument("--wait", action="store_true", help="wait for its end; its success is the exit status")
    _who_and_where(execute)
    execute.set_defaults(command=_execute)
    executions = _nested(nested.add_parser("executions", help="what was run")).add_parser("list", help="list them")
    executions.add_argument("--job", default="", help="of this job alone")
    executions.add_argument("--format", choices=("table", "json"), default="table")
    executions.set_defaults(command=_list_executions)
    scheduler = subcommands.add_parser("scheduler", help="jobs of Cloud Scheduler: `scheduler jobs run JOB`")
    nested = _nested(_nested(scheduler).add_parser("jobs", help="list them, and run them at once"))
    nested.add_parser("list", help="list them, when they are due, and how the last call went").set_defaults(
        command=_list_schedules
    )
    at_once = nested.add_parser("run", help="call what a job calls, now")
    at_once.add_argument("job", help="its name, or its full name")
    _who_and_where(at_once)
    at_once.set_defaults(command=_run_schedule)
    logging = _nested(subcommands.add_parser("logging", help="log entries: `logging read FILTER`"))
    read = logging.add_parser("read", help="print the entries that a filter asks for, the newest first")
    read.add_argument("filter", nargs="?", default="", help="in the Logging query language")
    read.add_argument("--limit", type=int, default=0, help="at most so many")
    read.set_defaults(command=_read_log)
    alerts = subcommands.add_parser("alerts", help="list open incidents, and the policies that are not evaluated")
    alerts.add_argument("--all", action="store_true", help="those that are over, too")
    alerts.add_argument("--format", choices=("table", "json"), default="table")
    alerts.set_defaults(command=_list_alerts)
    pushed = subcommands.add_parser("clock", help="print the time of the local cloud, or push it forward: `clock +7d`")
    pushed.add_argument("by", nargs="?", type=_duration, default=timedelta(), help="such as +7d, 90m or 1h30m")
    pushed.set_defaults(command=_clock)


def has(arguments: Sequence[str]) -> bool:
    """Whether a command line of gcloud is one of these; the others are those of `localcloud.commands`."""
    return tuple(arguments[:2]) in {("run", "jobs"), ("scheduler", "jobs"), ("logging", "read")}


def _nested(parser: argparse.ArgumentParser) -> argparse._SubParsersAction[argparse.ArgumentParser]:  # pyright: ignore[reportPrivateUsage]
    return parser.add_subparsers(required=True)


def _who_and_where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--region", default="", help="where it is; needed if there are two of the name")
    parser.add_argument("--project", default="", help="whose it is; as for --region")
    parser.add_argument("--account", default=OWNER, help="who asks, by e-mail address (default: an owner)")


def _list(value: str) -> list[str]:
    """Items that commas part, or what stands in `^;^a;b`, as gcloud has it."""
    if value.startswith("^") and "^" in value[1:]:
        delimiter, _, rest = value[1:].partition("^")
        return rest.split(delimiter)
    return value.split(",") if value else []


def _pairs(value: str) -> dict[str, str]:
    return {name: rest for name, _, rest in (pair.partition("=") for pair in _list(value))}


def _duration(value: str) -> timedelta:
    try:
        return clock.duration(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


@contextmanager
def _books(home: Path) -> Generator[Store]:
    if not (home / "cloud.db").exists():
        raise Failed(f"there is no local cloud in {home}")
    store = Store(home)
    try:
        yield store
    finally:
        store.close()


def _find(home: Path, kind: str, options: argparse.Namespace) -> Object:
    """The job that is meant, by its name and, if that is not enough, by where it is."""
    with _books(home) as store:
        known = store.all(kind)
    meant = [
        job
        for job in known
        if options.job in (text(job, "name"), text(job, "id"))
        and options.region in ("", text(job, "location") or text(job, "region"))
        and options.project in ("", text(job, "project"))
    ]
    if len(meant) != 1:
        names = ", ".join(text(job, "id") for job in meant or known) or "none"
        raise Failed(f"{'no job' if not meant else 'more than one job'} is called {options.job}; there are: {names}")
    return meant[0]


def _call(home: Path, account: str, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    """Calls Google's interface of the cloud that runs, as somebody."""
    # Imported here, for the other subcommands should not wait for the web server.
    from localcloud.machine.identity import IdentityProvider, kept_key  # noqa: PLC0415
    from localcloud.machine.interfaces import SITE  # noqa: PLC0415

    told = daemon.facts(home)
    if told is None:
        raise Failed("the local cloud is not up: `python -m localcloud up`")
    token = IdentityProvider(clients=lambda _: None, key=kept_key(home / "identity.pem")).access_token(account)
    request = urllib.request.Request(
        f"http://127.0.0.1:{told['ports'][SITE]}{path}",
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
            return json.load(answer)
    except urllib.error.HTTPError as error:
        said = json.load(error)["error"]
        raise Failed(f"{said['status']}: {said['message']}") from error


def _execute(home: Path, options: argparse.Namespace) -> int:
    name = text(_find(home, _JOB, options), "id")
    container = {"args": options.args} if options.args else {"clearArgs": True} if options.args == [] else {}
    variables = [{"name": key, "value": value} for key, value in options.update_env_vars.items()]
    container |= {"env": variables} if variables else {}
    overrides = {"containerOverrides": [container]} if container else {}
    overrides |= {"taskCount": options.tasks} if options.tasks else {}
    overrides |= {"timeout": f"{options.task_timeout.removesuffix('s')}s"} if options.task_timeout else {}
    body = {"overrides": overrides} if overrides else {}
    execution = text(_call(home, options.account, "POST", f"/v2/{name}:run", body), "metadata", "name")
    short = execution.rpartition("/")[2]
    print(f"Execution [{short}] has started running.", flush=True)
    if not options.wait:
        return 0
    while True:
        with _books(home) as store:
            found = store.get("run.execution", execution) or {}
        if text(found, "completionTime"):
            break
        time.sleep(_POLL_S)
    message = text(found, "conditions", 0, "message")
    print(f"Execution [{short}] has {'failed: ' + message if message else 'successfully completed.'}")
    return _FAILED if message else 0


def _list_executions(home: Path, options: argparse.Namespace) -> int:
    with _books(home) as store:
        found = [it for it in store.all("run.execution") if options.job in ("", text(it, "job"))]
    found.sort(key=lambda it: text(it, "createTime"), reverse=True)
    if options.format == "json":
        print(json.dumps(found, indent=2))
        return 0
    for execution in found:
        state = text(execution, "conditions", 0, "state").removeprefix("CONDITION_").lower() or "running"
        codes = ",".join(str(task["lastAttemptResult"]["exitCode"]) for task in _tasks(execution)) or "-"
        short, arguments = text(execution, "name").rpartition("/")[2], " ".join(strings(execution, "args"))
        print(f"{short:32} {state:10} exit {codes:6} {text(execution, 'createTime')[:19]}Z  {arguments}")
    return 0


def _tasks(execution: Object) -> list[Any]:
    return [*objects(execution, "tasks")]


def _list_schedules(home: Path, options: argparse.Namespace) -> int:
    from localcloud.services.cloudscheduler import ATTEMPT, schedule_of  # noqa: PLC0415

    del options
    with _books(home) as store:
        now = clock.Clock(store).now()
        for job in store.all(_SCHEDULE):
            due = schedule_of(job).after(now)
            last = store.get(ATTEMPT, text(job, "id")) or {}
            called = f"{text(last, 'status')} at {text(last, 'time')[:19]}Z" if last else "never called"
            when = f"{due:%Y-%m-%dT%H:%MZ}" if due and text(job, "state") == "ENABLED" else text(job, "state").lower()
            print(f"{text(job, 'name'):32} {text(job, 'schedule'):16} {text(job, 'time_zone'):16} {when}  {called}")
    return 0


def _run_schedule(home: Path, options: argparse.Namespace) -> int:
    name = text(_find(home, _SCHEDULE, options), "id")
    _call(home, options.account, "POST", f"/v1/{name}:run", {})
    with _books(home) as store:
        status = text(store.get("cloudscheduler.attempt", name), "status")
    print(f"{name}: {status}")
    return 0 if status == "OK" else _FAILED


def _read_log(home: Path, options: argparse.Namespace) -> int:
    from localcloud.machine.logbook import entries  # noqa: PLC0415
    from localcloud.services.logging_query import Query  # noqa: PLC0415
    from localcloud.services.query import BadFilter  # noqa: PLC0415

    try:
        query = Query(options.filter) if options.filter else None
    except BadFilter as error:
        raise Failed(str(error)) from error
    newest_first = [*entries(home / "logs")][::-1]
    found = [entry for entry in newest_first if query is None or query.matches(entry)]
    for entry in found[: options.limit or None]:
        print(json.dumps(entry))
    return 0


def _list_alerts(home: Path, options: argparse.Namespace) -> int:
    from localcloud.machine.conditions import unevaluated  # noqa: PLC0415

    with _books(home) as store:
        incidents = [it for it in store.all("monitoring.incident") if options.all or text(it, "state") == "OPEN"]
        policies = store.all("google_monitoring_alert_policy")
        uptime = bool(store.all("monitoring.uptime"))  # some check was made
    incidents.sort(key=lambda it: text(it, "opened"))
    if options.format == "json":
        print(json.dumps(incidents, indent=2))
        return 0
    for it in incidents:
        entry = it.get("entry")
        what = f"value {it.get('value')}" if entry is None else json.dumps(entry)
        print(f"{text(it, 'state'):6} since {text(it, 'opened')[:19]}Z  {text(it, 'policyName')}: {what}")
    for policy in policies:
        reason = "it is disabled" if policy.get("enabled") is False else unevaluated(policy, uptime=uptime)
        if reason:
            print(f"not evaluated: {text(policy, 'display_name')}: {reason}")
    return 0


def _clock(home: Path, options: argparse.Namespace) -> int:
    with _books(home) as store:
        now = clock.Clock(store).push(options.by) if options.by else clock.Clock(store).now()
    print(f"{now:%Y-%m-%dT%H:%M:%SZ}")
    return 0


def do(home: Path, options: argparse.Namespace) -> int:
    """Does what a command asks for.

    Returns:
        The exit status.
    """
    command: Callable[[Path, argparse.Namespace], int] = options.command
    try:
        return command(home, options)
    except Failed as error:
        print(f"[localcloud] {error}", file=sys.stderr)
        return _FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
