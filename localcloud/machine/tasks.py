"""One attempt of a task of a job: a container from its start to its end, and what Cloud Run says of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from containers.container import control_group, memory_kills
from containers.engine import EngineError
from localcloud.machine.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

    from containers.container import Container, ContainerSpec
    from containers.engine import Engine
    from localcloud.machine.logbook import Source
    from localcloud.machine.telemetry import Telemetry

_GRACE_S = 10  # https://cloud.google.com/run/docs/container-contract#jobs-shutdown
_POLL_S = 0.1
_TIMEOUTS = "https://cloud.google.com/run/docs/configuring/task-timeout"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How an attempt ended.

    Attributes:
        status: The exit status of the container; -1 if it never started.
        message: What Cloud Run says of a failure; "" for none.
    """

    status: int
    message: str

    @property
    def is_success(self) -> bool:
        """Whether it succeeded."""
        return not self.message


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """An attempt that can be made.

    Attributes:
        engine: Where containers run.
        spec: The container.
        source: What its log entries are of.
        telemetry: Where they go.
        logs: The folder for the log that it leaves behind.
        timeout_s: The longest that it may take.
    """

    engine: Engine
    spec: ContainerSpec
    source: Source
    telemetry: Telemetry
    logs: Path
    timeout_s: float

    async def run(self, name: str, container: Container | None = None) -> Ended:
        """Runs it to its end.

        Args:
            name: Of the task, in messages and of its log.
            container: One that runs already, and is taken over.
        """
        try:
            container = container or await asyncio.to_thread(self.engine.start, self.spec)
        except EngineError as error:
            self.telemetry.logbook.system(self.source, "ERROR", f"The container could not be started: {error}")
            return Ended(status=-1, message=f"Task {name} failed with message: The container could not be started.")
        journal = Journal(self.logs, self.telemetry)
        following = journal.follow(container, self.source)
        timed_out = out_of_memory = False
        try:
            async with asyncio.timeout(self.timeout_s):
                out_of_memory = await _end_of(container)
        except TimeoutError:
            timed_out = True
            self.telemetry.logbook.system(
                self.source,
                "ERROR",
                f"Terminating task because it has reached the maximum timeout of {self.timeout_s:.0f} seconds. To "
                f"change this limit, see {_TIMEOUTS}",
            )
        remains = await journal.end(container, name, _GRACE_S, following)
        journal.say(following, remains, self.spec.memory_mib if out_of_memory else None)
        status = -1 if remains.status is None else remains.status
        why = "The container exited with an error." if status else ""
        why = "The configured memory limit was reached." if out_of_memory else why
        why = "The configured timeout was reached." if timed_out else why
        return Ended(status=status, message=f"Task {name} failed with message: {why}" if why else "")


def _state(container: Container) -> dict[str, object]:
    """The state of a container that has ended; nothing if somebody has removed it."""
    try:
        return container.state()
    except EngineError:
        return {}


async def _end_of(container: Container) -> bool:
    """Returns when the first process of a container is gone, and its engine knows; whether it had no memory left.

    The engine does not always know that. The control group does, for a moment after the end.
    """
    state, kills = await asyncio.to_thread(_state, container), 0
    if state.get("Running"):
        pid = int(str(state["Pid"]))
        with contextlib.suppress(OSError):
            group = control_group(pid, "memory")
            await _end_of_process(pid)
            kills = memory_kills(group)
    while (await asyncio.to_thread(_state, container)).get("Running"):  # noqa: ASYNC110 - the engine calls nobody
        await asyncio.sleep(_POLL_S)
    return kills > 0


async def _end_of_process(pid: int) -> None:
    descriptor = os.pidfd_open(pid)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
