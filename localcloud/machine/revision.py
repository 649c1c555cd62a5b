"""A revision that takes requests: its instances, of which there are as many as `scaling.py` says.

An instance that has had no request for some time ends when there are more than that; Google keeps one that is idle for
up to 15 minutes (https://cloud.google.com/run/docs/about-instance-autoscaling). It takes no request any more, and gets
TERM, and KILL after 10 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from aiohttp import ClientError

from localcloud.machine import scaling
from localcloud.machine.instance import Instance, StartFailed
from localcloud.machine.places import Overloaded, Places

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
    from typing import Any

    from localcloud.machine.template import RevisionSpec

_LOG = logging.getLogger(__name__)
_TICK_S = 1
_LONGEST_BACKOFF_S = 60
_STARTUPS = 10  # so many of the last ones make their average


class Retired(Exception):  # noqa: N818 - what happened
    """The revision takes no more requests."""


class Revision:
    """The instances of one revision."""

    def __init__(self, spec: RevisionSpec, start: Callable[[], Awaitable[Instance]], *, idle_s: float) -> None:
        """Makes a revision without instances.

        Args:
            spec: What it runs.
            start: Starts an instance, or raises StartFailed.
            idle_s: Seconds without a request after which an instance ends that is not wanted; if they are fewer than
                those over which metrics are averaged, these are averaged over so many.
        """
        self.spec = spec
        self._terms = replace(spec.scaling, window_s=min(scaling.WINDOW_S, idle_s))
        self._start_instance = start
        self._idle_s = idle_s
        self._look = asyncio.Event()
        self._places = Places(self._terms.concurrency, self._look.set)
        self._seen: deque[scaling.Observation] = deque()
        self._observed = 0.0
        self._startups: deque[float] = deque(maxlen=_STARTUPS)
        self._starting: dict[asyncio.Task[None], float] = {}
        self._failures = 0
        self._not_before = 0.0
        self._leaving: set[Instance] = set()
        self._retired = False
        self._keeper: asyncio.Task[None] | None = None
        self._watchers: set[asyncio.Task[None]] = set()

    @property
    def instances(self) -> Sequence[Instance]:
        """Those that take requests."""
        return self._places.instances

    @property
    def starting(self) -> bool:
        """Whether an instance starts that is not ready yet."""
        return bool(self._starting)

    async def start(self, adopted: Sequence[Instance] = ()) -> None:
        """Starts its first instances: one at least, for a revision must show that it can start.

        Args:
            adopted: Instances that run already.

        Raises:
            StartFailed: One of them did not become ready; none is left.
        """
        for instance in adopted:
            self._admit(instance)
        missing = 0 if adopted else max(1, self._terms.min_instances)
        starts = [self._begin_start() for _ in range(missing)]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            await self._stop_all()
            raise
        self.keep()

    def keep(self) -> None:
        """Begins to keep the number of instances right, until `retire`."""
        self._observed = time.monotonic()
        self._keeper = asyncio.create_task(self._keep())

    @asynccontextmanager
    async def instance(self) -> AsyncGenerator[Instance]:
        """The instance that takes a request; waits for a place, or for a start.

        Raises:
            StartFailed: There was no instance, and none could be started.
            Overloaded: No place was free in time.
            Retired: Another revision has taken over meanwhile.
        """
        if self._retired:
            raise Retired
        instance = await self._places.take()
        try:
            async with instance.awake():
                yield instance
        except (ClientError, ConnectionError):
            instance.look()
            raise
        finally:
            self._places.give_back(instance)

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), _TICK_S)
            self._look.clear()
            try:
                self._tend()
            except Exception:  # noqa: BLE001 - the next time is another try
                _LOG.exception("%s stumbled", self.spec.name)

    def _tend(self) -> None:
        self._observe()
        self._look_again()
        under_way = [time.monotonic() - began for began in self._starting.values()]
        self._places.refuse(Overloaded(), after_s=scaling.pending_s([*self._startups, *under_way]))
        self._scale()

    def _observe(self) -> None:
        now = time.monotonic()
        if now - self._observed >= _TICK_S:
            self._seen.append(
                scaling.Observation(
                    at=now,
                    seconds=now - self._observed,
                    requests=self._places.requests,
                    cpu_seconds=sum(instance.cpu_seconds_since() for instance in self.instances),
                )
            )
            self._observed = now
        while self._seen and self._seen[0].at <= now - self._terms.window_s:
            self._seen.popleft()

    def _look_again(self) -> None:
        for instance in self.instances:
            if not instance.listening:
                instance.look()
        self._places.hand_out()

    def _scale(self) -> None:
        """Starts and ends instances; never are there more than the maximum, those that are ending included."""
        terms, count = self._terms, len(self.instances) + len(self._starting)
        now, requests = time.monotonic(), self._places.requests
        wanted = scaling.wanted(terms, self._seen, now=now, requests=requests, instances=count)
        self._places.wanted = wanted
        missing = min(wanted - count, terms.max_instances - count - len(self._leaving))
        woken = self._places.waiting > 0 and not count
        if missing > 0 and (now >= self._not_before or woken):
            _LOG.info("%s: starting %d of %d instances, for %d requests", self.spec.name, missing, wanted, requests)
            for _ in range(missing):
                self._begin_start()
        idle = [it for it in self.instances if it.in_flight == 0 and now - it.used_at > self._idle_s]
        for instance in idle[::-1][: max(0, count - wanted)]:  # the newest first
            _LOG.info("%s: ending instance %s, no request for %.0f s", self.spec.name, _short(instance), self._idle_s)
            self._places.instances.remove(instance)
            self._leaving.add(instance)
            self._in_background(instance.stop())

    def _begin_start(self) -> asyncio.Task[None]:
        task = asyncio.create_task(self._start_one())
        self._starting[task] = time.monotonic()
        task.add_done_callback(self._end_start)
        return task

    async def _start_one(self) -> None:
        began = time.monotonic()
        instance = await self._start_instance()
        self._startups.append(time.monotonic() - began)
        self._admit(instance)

    def _end_start(self, task: asyncio.Task[None]) -> None:
        del self._starting[task]
        failure = None if task.cancelled() else task.exception()
        self._failures = self._failures + 1 if failure else 0
        self._not_before = 0.0
        if failure:
            self._not_before = time.monotonic() + min(_TICK_S * 2**self._failures, _LONGEST_BACKOFF_S)
            log = failure.log if isinstance(failure, StartFailed) else ""
            if self._keeper:  # who deploys is told otherwise
                _LOG.error("%s: an instance did not start: %s\n%s", self.spec.name, failure, log)
            if not (self.instances or self._starting):
                self._places.refuse(StartFailed(str(failure), log))
        self._look.set()

    def _admit(self, instance: Instance) -> None:
        self._places.instances.append(instance)
        self._places.hand_out()
        self._in_background(self._watch(instance))

    async def _watch(self, instance: Instance) -> None:
        await instance.watch()
        if instance in self.instances and not self._retired:
            _LOG.warning("%s: instance %s ended", self.spec.name, _short(instance))
            self._places.instances.remove(instance)
            self._leaving.add(instance)
        self._look.set()
        # One that is not well gets no time to end: https://cloud.google.com/run/docs/configuring/healthchecks
        await instance.stop(grace_s=0)
        self._leaving.discard(instance)
        self._look.set()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def retire(self, within_s: float | None = None) -> None:
        """Takes no more requests, and ends each instance when it has done those that it has.

        Args:
            within_s: How long requests may go on; None for as long as the request timeout allows.
        """
        await self._stop_scaling()
        within_s = self.spec.timeout_s if within_s is None else min(within_s, self.spec.timeout_s)
        await asyncio.gather(*(self._drain(instance, within_s) for instance in self.instances))
        await self._stop_all()

    async def _drain(self, instance: Instance, within_s: float) -> None:
        try:
            await asyncio.wait_for(instance.unused.wait(), within_s)
        except TimeoutError:
            _LOG.warning("%s: requests were cut off after %.0f s", self.spec.name, within_s)
        await instance.stop()

    async def _stop_scaling(self) -> None:
        self._retired = True
        self._places.refuse(Retired())
        tasks = [*([self._keeper] if self._keeper else []), *self._starting]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _stop_all(self) -> None:
        """Returns when no container is left."""
        await self._stop_scaling()
        await asyncio.gather(*(instance.stop() for instance in self.instances))
        self._places.instances.clear()
        await asyncio.gather(*self._watchers)  # also of those that had begun to end


def _short(instance: Instance) -> str:
    return instance.container.id[:8]
