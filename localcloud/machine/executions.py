"""Executions of Cloud Run jobs: a container for each task, with retries and limits.

Left out: startup probes, and that an execution is kept for some days only. One that was under way when the local cloud
died is taken over; one that is under way when it is ended fails.
https://cloud.google.com/run/docs/create-jobs
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import string
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from containers.engine import EngineError
from localcloud.clock import seconds
from localcloud.machine import execution, template
from localcloud.machine.tasks import Ended, Task
from localcloud.services import revision, run_jobs
from localcloud.terraform.model import Object, Refused, strings, text

if TYPE_CHECKING:
    from pathlib import Path

    from containers.container import Container, ContainerSpec
    from containers.engine import Engine
    from localcloud.machine.telemetry import Telemetry
    from localcloud.resource import Cloud

_LOG = logging.getLogger(__name__)
_LABEL = "localcloud.execution"
"""On each container of a task: the name of the local cloud."""
_NAME_LABEL = "localcloud.execution.name"
_SUFFIX = 5
_LETTERS = string.ascii_lowercase + string.digits
_LOOK_AGAIN_S = 1
_MOST_PARALLEL = 4  # of one execution, on one machine


@dataclass(kw_only=True, slots=True)
class _Running:
    record: Object
    spec: ContainerSpec
    task: asyncio.Task[None] | None = None
    cancelled: str = ""


class Executions:
    """The executions that are under way, by their full names.

    Args:
        cloud: What is remembered.
        engine: Where containers run.
        surroundings: What the platform adds.
        logs: The folder for the logs of containers that have ended.
        telemetry: Where what they print and how they end goes.
    """

    def __init__(
        self,
        cloud: Cloud,
        engine: Engine,
        surroundings: template.Surroundings,
        *,
        logs: Path,
        telemetry: Telemetry,
    ) -> None:
        self._cloud = cloud
        self._engine = engine
        self._surroundings = surroundings
        self._logs = logs
        self._telemetry = telemetry
        self._clock = telemetry.logbook.clock
        self._running: dict[str, _Running] = {}

    async def run(self, job: Object, overrides: execution.Overrides, name: str = "") -> Object:
        """Begins an execution; returns it as it is then.

        Args:
            job: The job.
            overrides: What it has in another way.
            name: The last part of its full name; "" for one that nobody chose.

        Raises:
            Refused: The container cannot start: with every reason.
        """
        project, task = text(job, "project"), run_jobs.task_of(job)
        if problems := revision.missing(self._cloud, project, task):
            raise Refused(*problems)
        name = name or f"{text(job, 'name')}-{''.join(secrets.choice(_LETTERS) for _ in range(_SUFFIX))}"
        record = execution.begun(job, f"{text(job, 'id')}/executions/{name}", overrides, self._clock.timestamp())
        spec = await template.read_container(self._cloud, project, task, name, self._surroundings)
        spec = replace(
            spec,
            command=spec.command if overrides.args is None else overrides.args,
            environment={**spec.environment, **overrides.env},
        )
        self._begin(_Running(record=record, spec=spec), {})
        return record

    def _begin(self, running: _Running, adopted: dict[int, tuple[Container, int]]) -> None:
        self._running[text(running.record, "name")] = running
        self._note(running)
        running.task = asyncio.create_task(self._see_through(running, adopted))

    async def _see_through(self, running: _Running, adopted: dict[int, tuple[Container, int]]) -> None:
        record = running.record
        count, parallel = int(str(record["taskCount"])), int(str(record["parallelism"])) or _MOST_PARALLEL
        gate = asyncio.Semaphore(min(parallel, _MOST_PARALLEL))

        async def one(index: int) -> Ended:
            async with gate:
                return await self._task(running, index, adopted.get(index))

        try:
            ended = await asyncio.gather(*(one(index) for index in range(count)))
        finally:
            shutil.rmtree(self._surroundings.secrets / execution.short_name(record), ignore_errors=True)
        failed = [it for it in ended if not it.is_success]
        message = running.cancelled or next((it.message for it in failed), "")
        time, is_cancelled = self._clock.timestamp(), bool(running.cancelled)
        execution.note_end(record, len(failed), message, time, cancelled=is_cancelled)
        self._running.pop(text(record, "name"), None)
        self._note(running)
        result = "failed" if failed else "succeeded"
        of_job = replace(execution.source(record, 0, 0), labels={})
        self._telemetry.measure(of_job, "run.googleapis.com/job/completed_execution_count", 1, result=result)
        _LOG.info("execution %s %s%s", execution.short_name(record), result, f": {message}" if message else "")

    async def _task(self, running: _Running, index: int, adopted: tuple[Container, int] | None) -> Ended:
        """Runs one task until it succeeds, or has failed too often."""
        record = running.record
        container, attempt = adopted or (None, 0)
        while True:
            task = Task(
                engine=self._engine,
                spec=self._spec(running, index, attempt),
                source=execution.source(record, index, attempt),
                telemetry=self._telemetry,
                logs=self._logs,
                timeout_s=seconds(record.get("timeout")) or 600,
            )
            ended = await task.run(f"{execution.short_name(record)}-task{index}", container)
            if running.cancelled:
                ended = Ended(status=ended.status, message=running.cancelled)
            self._telemetry.measure(
                task.source,
                "run.googleapis.com/job/completed_task_attempt_count",
                1,
                attempt=str(attempt),
                result="succeeded" if ended.is_success else "failed",
            )
            execution.note_attempt(record, index, attempt, ended)
            if ended.is_success or running.cancelled or attempt >= int(str(record["maxRetries"])):
                return ended
            container, attempt = None, attempt + 1
            record["retriedCount"] = int(str(record["retriedCount"])) + 1
            self._note(running)

    def _spec(self, running: _Running, index: int, attempt: int) -> ContainerSpec:
        record, spec = running.record, running.spec
        labels = {
            _LABEL: self._surroundings.label,
            _NAME_LABEL: text(record, "name"),
            template.TASK_LABEL: f"{index}/{attempt}",
        }
        environment = {**execution.variables(record, index, attempt), **spec.environment}
        return replace(spec, environment=environment, labels={**spec.labels, **labels})

    def _note(self, running: _Running) -> None:
        running.record["runningCount"] = int(text(running.record, "name") in self._running)
        run_jobs.note_execution(self._cloud, running.record)

    def under_way(self, job: str) -> list[Object]:
        """The executions of a job, by its full name, that have not ended."""
        return [it.record for name, it in self._running.items() if name.startswith(f"{job}/executions/")]

    async def run_once(self, job: Object, name: str, *, wait: bool) -> Object:
        """Begins an execution unless there is one of that name, and may wait for its end; returns it."""
        full_name = f"{text(job, 'id')}/executions/{name}"
        found = self._cloud.store.get(run_jobs.EXECUTION, full_name) or await self.run(job, execution.Overrides(), name)
        running = self._running.get(full_name)
        if wait and running and running.task:
            await asyncio.wait([running.task])
            return running.record
        return found

    async def cancel(self, name: str, why: str = "The execution was cancelled.") -> None:
        """Ends an execution; returns when none of its containers is left."""
        running = self._running.get(name)
        if running is None or running.task is None:
            return
        running.cancelled = why
        while not running.task.done():  # a container may be about to start
            for container in self._engine.containers(f"{_NAME_LABEL}={name}"):
                with contextlib.suppress(EngineError):
                    await asyncio.to_thread(container.stop)
            await asyncio.wait([running.task], timeout=_LOOK_AGAIN_S)

    async def remove(self, job: str) -> None:
        """Ends those of a job that is deleted."""
        for record in self.under_way(job):
            await self.cancel(text(record, "name"), "The job was deleted.")

    async def close(self) -> None:
        """Ends every execution."""
        for name in list(self._running):
            await self.cancel(name, "The local cloud was ended.")

    async def resume(self) -> None:
        """Takes over the executions that were under way when the local cloud died."""
        found: dict[str, dict[int, tuple[Container, int]]] = {}
        for container in self._engine.containers(f"{_LABEL}={self._surroundings.label}"):
            labels = container.labels()
            index, _, attempt = labels[template.TASK_LABEL].partition("/")
            found.setdefault(labels[_NAME_LABEL], {})[int(index)] = (container, int(attempt))
        for record in self._cloud.store.all(run_jobs.EXECUTION):
            name = text(record, "name")
            job = self._cloud.store.get(run_jobs.Job.type, name.partition("/executions/")[0])
            if text(record, "completionTime") or job is None:
                continue
            try:
                project, task = text(job, "project"), run_jobs.task_of(job)
                spec = await template.read_container(
                    self._cloud, project, task, execution.short_name(record), self._surroundings
                )
            except Refused as refused:
                _LOG.error("%s cannot be resumed: %s", name, refused)
                continue
            spec = replace(spec, command=strings(record, "args"))
            self._begin(_Running(record=record, spec=spec), found.pop(name, {}))
        for strangers in found.values():
            for container, _ in strangers.values():
                container.remove()
