"""A revision that takes requests: its instances, as many as it should have, and which of them takes the next request.

It has as many instances as the template's minimum asks, and one while there are requests. Left out: more instances
under load, so `max_instance_count` never matters.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from localcloud.machine.instance import Instance, StartFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from localcloud.machine.template import RevisionSpec

_LOG = logging.getLogger(__name__)
# How long a request waits for a place: https://cloud.google.com/run/docs/about-concurrency
_PENDING_S = 10
_TICK_S = 1
_LONGEST_BACKOFF_S = 60


class Overloaded(Exception):  # noqa: N818 - what happened
    """Every instance has as many requests as it takes, and none ended in time."""


class Retired(Exception):  # noqa: N818 - what happened
    """The revision takes no more requests."""


class Revision:
    """The instances of one revision."""

    def __init__(self, spec: RevisionSpec, start: Callable[[], Awaitable[Instance]], *, idle_s: float) -> None:
        """Makes a revision without instances.

        Args:
            spec: What it runs.
            start: Starts an instance, or raises StartFailed.
            idle_s: Seconds without a request after which instances above the minimum end.
        """
        self.spec = spec
        self.instances: list[Instance] = []
        self._start_instance = start
        self._idle_s = idle_s
        self._used = time.monotonic()
        self._starting: asyncio.Task[None] | None = None
        self._freed = asyncio.Event()
        self._retired = False
        self._keeper: asyncio.Task[None] | None = None
        self._watchers: set[asyncio.Task[None]] = set()

    async def start(self, adopted: Sequence[Instance] = ()) -> None:
        """Starts its first instances: one at least, for a revision must show that it can start.

        Args:
            adopted: Instances that run already.

        Raises:
            StartFailed: One of them did not become ready; none is left.
        """
        for instance in adopted:
            self._admit(instance)
        missing = 0 if adopted else max(1, self.spec.min_instances)
        starts = [asyncio.create_task(self._start_one()) for _ in range(missing)]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self._stop_all()
            raise
        self.keep()

    def keep(self) -> None:
        """Begins to keep the number of instances right, until `retire`."""
        self._keeper = asyncio.create_task(self._keep())

    @asynccontextmanager
    async def instance(self) -> AsyncGenerator[Instance]:
        """The instance that takes a request; waits for a place, or for a start from zero.

        Raises:
            StartFailed: There was no instance, and none could be started.
            Overloaded: No place was free in time.
            Retired: Another revision has taken over meanwhile.
        """
        self._used = time.monotonic()
        instance = await self._place()
        try:
            async with instance.using():
                yield instance
        finally:
            self._used = time.monotonic()
            self._wake_waiting()

    def _wake_waiting(self) -> None:
        """Lets everybody who waits for a change look again."""
        self._freed.set()
        self._freed = asyncio.Event()

    async def _place(self) -> Instance:
        deadline = asyncio.get_running_loop().time() + _PENDING_S
        while True:
            if self._retired:
                raise Retired
            live = [instance for instance in self.instances if not instance.ended.is_set()]
            free = [instance for instance in live if instance.in_flight < self.spec.concurrency]
            if free:
                return min(free, key=lambda instance: instance.in_flight)
            if not live:
                await self._start_from_zero()
                continue
            try:
                async with asyncio.timeout_at(deadline):
                    await self._freed.wait()
            except TimeoutError:
                raise Overloaded from None

    async def _start_from_zero(self) -> None:
        """Starts one instance, however many requests wait for it."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start_one())
            self._starting.add_done_callback(self._forget_start)
        starting = self._starting
        await asyncio.wait([starting])
        if starting.cancelled():
            raise Retired
        starting.result()

    @property
    def starting(self) -> bool:
        """Whether a request has woken it, and its first instance is not ready yet."""
        return self._starting is not None

    def _forget_start(self, _: asyncio.Task[None]) -> None:
        self._starting = None

    async def _start_one(self) -> None:
        self._admit(await self._start_instance())

    def _admit(self, instance: Instance) -> None:
        self.instances.append(instance)
        self._wake_waiting()
        watcher = asyncio.create_task(self._watch(instance))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)

    async def _watch(self, instance: Instance) -> None:
        await instance.watch()
        if not self._retired:
            _LOG.warning("%s: instance %s ended", self.spec.name, instance.container.id[:8])
        if instance in self.instances:
            self.instances.remove(instance)
        # One that is not well gets no time to end: https://cloud.google.com/run/docs/configuring/healthchecks
        await instance.stop(grace_s=0)

    async def _keep(self) -> None:
        pause = _TICK_S
        while True:
            await asyncio.sleep(pause)
            if time.monotonic() - self._used > self._idle_s:
                await self._end_idle()
            if len(self.instances) < self.spec.min_instances and not self.starting:
                try:
                    await self._start_from_zero()
                    pause = _TICK_S
                except StartFailed as failure:
                    pause = min(pause * 2, _LONGEST_BACKOFF_S)
                    _LOG.error("%s: an instance did not start: %s\n%s", self.spec.name, failure, failure.log)

    async def _end_idle(self) -> None:
        for instance in list(self.instances):
            spare = len(self.instances) > self.spec.min_instances
            if spare and instance.in_flight == 0 and instance in self.instances:
                self.instances.remove(instance)
                name = instance.container.id[:8]
                _LOG.info("%s: no request for %.0f s, ending instance %s", self.spec.name, self._idle_s, name)
                await instance.stop()

    async def retire(self, within_s: float | None = None) -> None:
        """Takes no more requests, lets those under way end, and ends the instances.

        Args:
            within_s: How long requests may go on; None for as long as the request timeout allows.
        """
        self._retired = True
        self._wake_waiting()
        within_s = self.spec.timeout_s if within_s is None else min(within_s, self.spec.timeout_s)
        try:
            async with asyncio.timeout(within_s):
                while any(instance.in_flight for instance in self.instances):
                    await self._freed.wait()
        except TimeoutError:
            _LOG.warning("%s: requests were cut off after %.0f s", self.spec.name, within_s)
        await self._stop_all()

    async def _stop_all(self) -> None:
        """Returns when no container is left."""
        self._retired = True
        tasks = [task for task in (self._keeper, self._starting) if task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        instances, self.instances = self.instances, []
        await asyncio.gather(*(instance.stop() for instance in instances))
        await asyncio.gather(*self._watchers)  # also of those that had begun to end
