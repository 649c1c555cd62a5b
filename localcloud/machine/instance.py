"""One instance of a revision: a container from its first probe to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientTimeout

from localcloud.engine import Container, Engine, EngineError
from localcloud.machine.forwarding import client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from localcloud.machine.template import Probe, RevisionSpec

_LOG = logging.getLogger(__name__)
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
    """A running container, and what is known of it.

    With `cpu_idle` its processes stand still while no request and no probe is under way, once the startup probe has
    passed: https://cloud.google.com/run/docs/configuring/billing-settings
    """

    def __init__(self, container: Container, spec: RevisionSpec, logs: Path) -> None:
        """Takes a container over that runs.

        Args:
            container: The container.
            spec: What it was started from.
            logs: The folder for the log that it leaves behind.
        """
        self.container = container
        self.spec = spec
        self.in_flight = 0
        self.ended = asyncio.Event()
        self.ready = False
        self._logs = logs
        self._pid = container.pid
        self._cpu = asyncio.Lock()
        self._frozen = False
        self._stopping: asyncio.Task[None] | None = None
        self.origin = f"http://127.0.0.1:{container.port(spec.port)}"
        self.session = client()
        self._pidfd = os.pidfd_open(self._pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._note_end)

    @classmethod
    async def start(cls, engine: Engine, spec: RevisionSpec, logs: Path) -> Instance:
        """Starts a container and waits for its startup probe.

        Raises:
            StartFailed: It ended, or the probe failed too often.
        """
        try:
            container = await asyncio.to_thread(engine.start, spec.container)
            instance = cls(container, spec, logs)
        except (EngineError, OSError) as error:
            raise StartFailed(f"The container could not be started: {error}", "") from error
        try:
            await instance.wait_until_ready()
        except StartFailed:
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
                self.ready = True
                await self._free_cpu()
                return
        log = await asyncio.to_thread(self.container.logs)
        if self.ended.is_set():
            reason = f"The container ended before it answered on the port that PORT={self.spec.port} names."
        else:
            reason = f"The container failed its startup probe {probe.failure_threshold} times in a row."
        raise StartFailed(reason, log)

    async def passes(self, probe: Probe) -> bool:
        """Asks once."""
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
        while not self.ended.is_set() and failures < probe.failure_threshold:
            await self._pause(probe.period_s)
            async with self.using():
                failures = 0 if await self.passes(probe) else failures + 1
        if not self.ended.is_set():
            _LOG.warning("%s: liveness probe failed %s times; ending the instance", self.spec.name, failures)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), seconds)

    @asynccontextmanager
    async def using(self) -> AsyncGenerator[None]:
        """While a request or probe is under way: it counts, and the CPU is there."""
        self.in_flight += 1
        try:
            if self._frozen:
                async with self._cpu:
                    await self._set_frozen(frozen=False)
            yield
        finally:
            self.in_flight -= 1
            await self._free_cpu()

    async def _free_cpu(self) -> None:
        if self.spec.cpu_idle and self.ready:
            async with self._cpu:
                if self.in_flight == 0 and not self.ended.is_set() and self._stopping is None:
                    await self._set_frozen(frozen=True)

    async def _set_frozen(self, *, frozen: bool) -> None:
        if frozen != self._frozen:
            with contextlib.suppress(EngineError):  # it has just ended
                await asyncio.to_thread(self.container.pause if frozen else self.container.unpause)
            self._frozen = frozen

    def _note_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.ended.set()

    async def stop(self, grace_s: int = _GRACE_S) -> None:
        """Ends it: TERM, KILL after the grace period; keeps its log. Several may ask for it."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(grace_s))
        await asyncio.shield(self._stopping)

    async def _stop(self, grace_s: int) -> None:
        async with self._cpu:
            await self._set_frozen(frozen=False)
        await self.session.close()
        await asyncio.to_thread(self._remove, grace_s)

    def _remove(self, grace_s: int) -> None:
        try:
            self.container.stop(grace_s)
            self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            name = f"{time.strftime('%Y%m%dT%H%M%S')}-{self.spec.name}-{self.container.id[:8]}.log"
            (self._logs / name).write_text(self.container.logs())
        finally:
            self.container.remove()
