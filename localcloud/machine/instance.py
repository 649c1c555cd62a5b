"""One instance of a revision: a container from its first probe to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientTimeout

from containers.container import control_group, cpu_seconds, memory_kills
from containers.engine import Engine, EngineError
from localcloud.machine.forwarding import client
from localcloud.machine.journal import printed
from localcloud.machine.logbook import Source

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from containers.container import Container
    from localcloud.machine.journal import Journal
    from localcloud.machine.template import Probe, RevisionSpec

_LOG = logging.getLogger(__name__)
_SETTLING: set[asyncio.Task[None]] = set()  # the event loop alone would forget them
_LISTENING = "0A"  # https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
_GRACE_S = 10  # https://cloud.google.com/run/docs/container-contract#instance-shutdown


class StartFailed(Exception):  # noqa: N818 - what happened
    """An instance did not become ready.

    Attributes:
        log: What its container printed.
    """

    def __init__(self, reason: str, log: str) -> None:
        super().__init__(reason)
        self.log = log


class Instance:
    """A running container, and what is known of it; made by `start` or `adopt`.

    With `cpu_idle` its processes stand still while no request and no probe is under way, once the startup probe has
    passed: https://cloud.google.com/run/docs/configuring/billing-settings

    Attributes:
        in_flight: The requests that it has.
        unused: It has none.
        used_at: When that changed last, or when it was ready, by the monotonic clock.
        listening: Its port was open when `look` looked last.
        ended: Its first process is gone.
        ready: Its startup probe has passed.
    """

    def __init__(self, container: Container, spec: RevisionSpec, journal: Journal, place: _Place) -> None:
        self.container = container
        self.spec = spec
        self.in_flight = 0
        self.unused = asyncio.Event()
        self.unused.set()
        self.used_at = time.monotonic()
        self.listening = True
        self.ended = asyncio.Event()
        self.ready = False
        self._journal = journal
        self._pid = place.pid
        self._cpu = asyncio.Lock()
        self._frozen = False
        self._awake = 0
        self._stopping: asyncio.Task[None] | None = None
        self._pidfd = os.pidfd_open(place.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._note_end)
        self._memory_kills = 0
        self._memory = control_group(place.pid, "memory")
        self._cpu_time = control_group(place.pid, "cpuacct")
        self._cpu_seconds = cpu_seconds(self._cpu_time)
        self._following = journal.follow(container, _source(spec, container))
        self.origin = f"http://{place.published}"
        self.session = client()

    @classmethod
    async def start(cls, engine: Engine, spec: RevisionSpec, journal: Journal) -> Instance:
        """Starts a container and waits for its startup probe. Whatever keeps it from that, no container is left.

        Args:
            engine: Where it runs.
            spec: What to start.
            journal: Where what it prints and leaves behind goes.

        Raises:
            StartFailed: It ended, or the probe failed too often.
        """
        launch = asyncio.create_task(asyncio.to_thread(engine.start, spec.container))
        try:
            container = await asyncio.shield(launch)
        except EngineError as error:
            raise StartFailed(f"The container could not be started: {error}", "") from error
        except asyncio.CancelledError:
            await asyncio.to_thread((await launch).remove)
            raise
        return await cls.adopt(container, spec, journal)

    @classmethod
    async def adopt(cls, container: Container, spec: RevisionSpec, journal: Journal) -> Instance:
        """Takes a container over that was started from a specification, and waits for its startup probe.

        Raises:
            StartFailed: As in `start`; the container is removed.
        """
        try:
            instance = cls(container, spec, journal, await asyncio.to_thread(_Place.of, container, spec.port))
        except (EngineError, OSError) as error:
            log = (await journal.end(container, spec.name, 0)).log
            raise StartFailed(_ended_early(spec), log) from error
        except asyncio.CancelledError:
            await asyncio.to_thread(container.remove)
            raise
        try:
            await instance.wait_until_ready()
        except BaseException:
            await instance.stop(grace_s=0)
            raise
        return instance

    async def wait_until_ready(self) -> None:
        """Asks the startup probe until it passes.

        Raises:
            StartFailed: The container ended, or the probe failed too often.
        """
        probe = self.spec.startup
        await self._pause(probe.initial_delay_s)
        for number in range(probe.failure_threshold):
            if number:
                await self._pause(probe.period_s)
            if self.ended.is_set():
                break
            if await self.passes(probe):
                self.ready, self.used_at = True, time.monotonic()
                await self._settle_cpu()
                return
        reason = f"The container failed its startup probe {probe.failure_threshold} times in a row."
        log = await asyncio.to_thread(printed, self.container)
        raise StartFailed(_ended_early(self.spec) if self.ended.is_set() else reason, log)

    async def passes(self, probe: Probe) -> bool:
        """Asks a probe once, over HTTP or for a listening port."""
        if not probe.path:
            return self._listens(probe.port)
        try:
            async with self.session.get(
                f"{self.origin}{probe.path}", timeout=ClientTimeout(total=probe.timeout_s), allow_redirects=False
            ) as answer:
                return 200 <= answer.status < 400  # noqa: PLR2004 - https://cloud.google.com/run/docs/configuring/healthchecks
        except (ClientError, TimeoutError):
            return False

    def _listens(self, port: int) -> bool:
        """Whether a socket listens inside; from outside, the published port always accepts."""
        tables = (Path(f"/proc/{self._pid}/net/{name}") for name in ("tcp", "tcp6"))
        with contextlib.suppress(OSError):
            for table in tables:
                for line in table.read_text().splitlines()[1:]:
                    local, state = line.split()[1], line.split()[3]
                    if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                        return True
        return False

    async def watch(self) -> None:
        """Returns when the instance has ended, or when its liveness probe has failed too often."""
        probe = self.spec.liveness
        if probe is None:
            await self.ended.wait()
            return
        failures = 0
        await self._pause(probe.initial_delay_s)
        while not self.ended.is_set() and self._stopping is None and failures < probe.failure_threshold:
            await self._pause(probe.period_s)
            async with self.awake():
                failures = 0 if await self.passes(probe) else failures + 1
        if failures == probe.failure_threshold:
            _LOG.warning("%s: liveness probe failed %s times; ending the instance", self.spec.name, failures)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), seconds)

    def take(self) -> None:
        """Counts a request more."""
        self.in_flight += 1
        self.unused.clear()
        self.used_at = time.monotonic()

    def give_back(self) -> None:
        """Counts one less."""
        self.in_flight -= 1
        self.used_at = time.monotonic()
        if not self.in_flight:
            self.unused.set()

    def look(self) -> None:
        """Looks whether its port is open: when a container dies, ports close before its first process is gone."""
        self.listening = self._listens(self.spec.port)

    def cpu_seconds_since(self) -> float:
        """Returns the CPU time that it took since this was asked last, or since its start."""
        before = self._cpu_seconds
        with contextlib.suppress(OSError):  # it has just ended
            self._cpu_seconds = cpu_seconds(self._cpu_time)
        return self._cpu_seconds - before

    @asynccontextmanager
    async def awake(self) -> AsyncGenerator[None]:
        """While a request or a probe is under way: the CPU is there."""
        self._awake += 1
        try:
            await self._settle_cpu()
            yield
        finally:
            self._awake -= 1
            await self._settle_cpu()

    async def _settle_cpu(self) -> None:
        """Gives or takes the CPU; once begun it is done, even if who asked for it goes away meanwhile."""
        if self.spec.cpu_idle:
            task = asyncio.create_task(self._freeze_or_thaw())
            _SETTLING.add(task)
            task.add_done_callback(_SETTLING.discard)
            await asyncio.shield(task)

    async def _freeze_or_thaw(self) -> None:
        async with self._cpu:
            idle = self.ready and not self._awake and self._stopping is None
            if idle != self._frozen and not self.ended.is_set():
                with contextlib.suppress(EngineError):  # it has just ended
                    await asyncio.to_thread(self.container.pause if idle else self.container.unpause)
                self._frozen = idle

    def _note_end(self) -> None:
        with contextlib.suppress(OSError):  # for a moment, its control group is still there
            self._memory_kills = memory_kills(self._memory)
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.ended.set()

    async def stop(self, grace_s: int = _GRACE_S) -> None:
        """Ends it: TERM, KILL after the grace period; keeps its log. Several may ask for it."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(grace_s))
        await asyncio.shield(self._stopping)

    async def _stop(self, grace_s: int) -> None:
        await self._settle_cpu()
        remains = await self._journal.end(self.container, self.spec.name, grace_s, self._following)
        limit = self.spec.container.memory_mib if self._memory_kills else None
        self._journal.say(self._following, remains, limit)
        # Requests that are still there were cut off by the end of the container.
        await self.session.close()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where a running container is found on this machine."""

    pid: int
    published: str

    @classmethod
    def of(cls, container: Container, port: int) -> _Place:
        state = container.state()
        if state["Paused"]:
            container.unpause()  # of one that stands still, podman tells no port
        return cls(pid=int(str(state["Pid"])), published=container.published(port))


def _ended_early(spec: RevisionSpec) -> str:
    return f"The container ended before it answered on the port that PORT={spec.port} names."


def _source(spec: RevisionSpec, container: Container) -> Source:
    """The source of the log entries of an instance."""
    _, project, _, location, _, service = spec.service.split("/")
    names = {"configuration_name": service, "location": location, "revision_name": spec.name, "service_name": service}
    return Source(project=project, resource="cloud_run_revision", resource_labels=names, labels=labels_of(container))


def labels_of(container: Container) -> dict[str, str]:
    """The labels of a log entry that say which instance it is of."""
    return {"instanceId": container.id}
