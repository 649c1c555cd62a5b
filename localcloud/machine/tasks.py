"""One attempt of a task of a job: a container from its start to its end, and what Cloud Run says of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from containers.container import control_group, memory_kills
from containers.engine import EngineError
from localcloud.machine.instance import end
from localcloud.machine.printing import Follower

if TYPE_CHECKING:
    from pathlib import Path

    from containers.container import Container, ContainerSpec
    from containers.engine import Engine
    from localcloud.machine.logbook import Logbook, Source

_GRACE_S = 10  # https://cloud.google.com/run/docs/container-contract#jobs-shutdown
_POLL_S = 0.1
_SIGNALLED = 128
_TIMEOUTS = "https://cloud.google.com/run/docs/configuring/task-timeout"
_MEMORY = "https://cloud.google.com/run/docs/configuring/memory-limits"


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
        logbook: Where they go.
        logs: The folder for the log that it leaves behind.
        timeout_s: The longest that it may take.
    """

    engine: Engine
    spec: ContainerSpec
    source: Source
    logbook: Logbook
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
            self.logbook.system(self.source, "ERROR", f"The container could not be started: {error}")
            return Ended(status=-1, message=f"Task {name} failed with message: The container could not be started.")
        follower = Follower(self.engine, container, partial(self.logbook.line, self.source))
        timed_out = out_of_memory = False
        try:
            async with asyncio.timeout(self.timeout_s):
                out_of_memory = await _end_of(container)
        except TimeoutError:
            timed_out = True
            self.logbook.system(
                self.source,
                "ERROR",
                f"Terminating task because it has reached the maximum timeout of {self.timeout_s:.0f} seconds. To "
                f"change this limit, see {_TIMEOUTS}",
            )
            with contextlib.suppress(EngineError):
                await asyncio.to_thread(container.stop, _GRACE_S)
        state = await asyncio.to_thread(_state, container)
        await follower.finish()
        await asyncio.to_thread(end, container, self.logs, name, 0)
        status = int(str(state.get("ExitCode", -1)))
        why = self._say(status, out_of_memory=out_of_memory)
        if timed_out:
            why = "The configured timeout was reached."
        return Ended(status=status, message=f"Task {name} failed with message: {why}" if why else "")

    def _say(self, status: int, *, out_of_memory: bool) -> str:
        """Logs the end of a container as Cloud Run does; returns why that is a failure, "" if it is none."""
        if out_of_memory:
            limit = self.spec.memory_mib
            self.logbook.system(
                self.source,
                "ERROR",
                f"Memory limit of {limit} MiB exceeded with {limit} MiB used. Consider increasing the memory limit, "
                f"see {_MEMORY}",
            )
        if status > _SIGNALLED:
            self.logbook.system(self.source, "WARNING", f"Container terminated on signal {status - _SIGNALLED}.")
        else:
            self.logbook.system(self.source, "WARNING", f"Container called exit({status}).")
        if out_of_memory:
            return "The configured memory limit was reached."
        return "The container exited with an error." if status else ""


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
