"""Records of containers: log entries while they run, a line about their end, and their log in a file."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

from containers.engine import EngineError

if TYPE_CHECKING:
    from pathlib import Path

    from containers.container import Container
    from localcloud.machine.logbook import Source
    from localcloud.machine.printing import Follower
    from localcloud.machine.telemetry import Telemetry


class Remains(NamedTuple):
    """The record of a container that has ended.

    Attributes:
        log: What it printed.
        status: Its exit status; None if somebody else has removed it.
    """

    log: str
    status: int | None


class Following(NamedTuple):
    """A container whose log is followed."""

    source: Source
    follower: Follower


class Journal:
    """Keeps what containers leave.

    Args:
        logs: The folder for their logs.
        telemetry: Where log entries go; None for nowhere.
    """

    def __init__(self, logs: Path, telemetry: Telemetry | None = None) -> None:
        self._logs = logs
        self._telemetry = telemetry

    def follow(self, container: Container, source: Source) -> Following | None:
        """Begins to make entries of what a container prints."""
        return Following(source, self._telemetry.follow(container, source)) if self._telemetry else None

    async def end(self, container: Container, name: str, grace_s: int, following: Following | None = None) -> Remains:
        """Ends and removes a container, which may be gone already; keeps its log, and makes the last entries of it."""
        with contextlib.suppress(EngineError):
            await asyncio.to_thread(container.stop, grace_s)
        if following:
            await following.follower.finish()
        return await asyncio.to_thread(self._remove, container, name)

    def _remove(self, container: Container, name: str) -> Remains:
        status = None
        with contextlib.suppress(EngineError):
            status = int(str(container.state()["ExitCode"]))
        log = printed(container)
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._logs / f"{time.strftime('%Y%m%dT%H%M%S')}-{name}-{container.id[:8]}.log").write_text(log)
        with contextlib.suppress(EngineError):
            container.remove()
        return Remains(log, status)

    def say(self, following: Following | None, remains: Remains, memory_mib: int | None) -> None:
        """Makes an entry of the end; `memory_mib` is as in `Telemetry.ended`."""
        if following and self._telemetry and remains.status is not None:
            self._telemetry.ended(following.source, remains.status, memory_mib)


def printed(container: Container) -> str:
    """Returns the output of a container; nothing if somebody has removed it."""
    try:
        return container.logs()
    except EngineError:
        return ""
