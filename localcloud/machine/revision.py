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
        self._freed = asyncio.Condition()
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
        missing = max(1, self.spec.min_instances) - len(self.instances)
        if not adopted:
            results = await asyncio.gather(*(self._start_one() for _ in range(missing)), return_exceptions=True)
            failures = [result for result in results if isinstance(result, BaseException)]
            if failures:
                await self._stop_all()
                raise failures[0]
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
            async with self._freed:
                self._freed.notify_all()

    async def _place(self) -> Instance:
        deadline = time.monotonic() + _PENDING_S
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
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + deadline - time.monotonic()):
                    async with self._freed:
                        await self._freed.wait()
            except TimeoutError:
                raise Overloaded from None

    async def _start_from_zero(self) -> None:
        """Starts one instance, however many requests wait for it."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start_one())
            self._starting.add_done_callback(self._forget_start)
        await asyncio.shield(self._starting)

    def _forget_start(self, _: asyncio.Task[None]) -> None:
        self._starting = None

    async def _start_one(self) -> None:
        instance = await self._start_instance()
        if self._retired:
            await instance.stop()
        else:
            self._admit(instance)

    def _admit(self, instance: Instance) -> None:
        self.instances.append(instance)
        watcher = asyncio.create_task(self._watch(instance))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)

    async def _watch(self, instance: Instance) -> None:
        await instance.watch()
        if not self._retired:
            _LOG.warning("%s: instance %s ended", self.spec.name, instance.container.id[:8])
        if instance in self.instances:
            self.instances.remove(instance)
        await instance.stop()

    async def _keep(self) -> None:
        pause = _TICK_S
        while True:
            await asyncio.sleep(pause)
            if time.monotonic() - self._used > self._idle_s:
                await self._end_idle()
            if len(self.instances) < self.spec.min_instances and self._starting is None:
                try:
                    await self._start_from_zero()
                    pause = _TICK_S
                except StartFailed as failure:
                    pause = min(pause * 2, _LONGEST_BACKOFF_S)
                    _LOG.error("%s: an instance did not start: %s\n%s", self.spec.name, failure, failure.log)

    async def _end_idle(self) -> None:
        idle = [instance for instance in self.instances if instance.in_flight == 0]
        for instance in idle[: max(0, len(self.instances) - self.spec.min_instances)]:
            self.instances.remove(instance)
            _LOG.info(
                "%s: no request for %.0f s, ending instance %s", self.spec.name, self._idle_s, instance.container.id[:8]
            )
            await instance.stop()

    async def retire(self) -> None:
        """Lets the requests under way end, within the request timeout, and ends the instances."""
        self._retired = True
        if self._keeper:
            self._keeper.cancel()
        try:
            async with asyncio.timeout(self.spec.timeout_s):
                while any(instance.in_flight for instance in self.instances):
                    async with self._freed:
                        await self._freed.wait()
        except TimeoutError:
            _LOG.warning("%s: requests were cut off after %.0f s", self.spec.name, self.spec.timeout_s)
        await self._stop_all()

    async def _stop_all(self) -> None:
        self._retired = True
        instances, self.instances = self.instances, []
        await asyncio.gather(*(instance.stop() for instance in instances))
