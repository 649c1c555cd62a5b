"""Places for requests: which instance takes the next one, and who waits until one has room.

A place goes to the instance with the fewest requests, and of those to the one that was used longest ago: no client has
an instance of its own. Instances beyond the wanted number get requests only when the others are full, so that they
become idle. Those who wait are served in the order in which they came. Left out: session affinity, and that Google
sends fewer requests to an instance whose CPU is busy.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcloud.machine.instance import Instance


class Overloaded(Exception):  # noqa: N818 - what happened
    """Every instance has as many requests as it takes, and none had room in time."""


class _Waiting(NamedTuple):
    since: float
    place: asyncio.Future[Instance]


class Places:
    """The places that the instances of a revision have for requests.

    Attributes:
        instances: Those that take requests; after a change `hand_out` is due.
        wanted: So many of them are preferred.
    """

    def __init__(self, concurrency: int, lacking: Callable[[], None]) -> None:
        """There is no instance yet.

        Args:
            concurrency: Most requests at a time for one instance.
            lacking: Called when a request has to wait.
        """
        self.instances: list[Instance] = []
        self.wanted = 1
        self._concurrency = concurrency
        self._lacking = lacking
        self._waiting: deque[_Waiting] = deque()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    @property
    def requests(self) -> int:
        """How many requests there are: those that wait, and those that an instance has."""
        return self.waiting + sum(instance.in_flight for instance in self.instances)

    async def take(self) -> Instance:
        """Takes a place, which must be given back; waits until there is one.

        Raises:
            Exception: What `refuse` was told.
        """
        instance = None if self._waiting else self._free()
        if instance:
            instance.take()
            return instance
        waiting = _Waiting(time.monotonic(), asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._lacking()
        try:
            return await waiting.place
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif not waiting.place.cancelled() and not waiting.place.exception():
                self.give_back(waiting.place.result())  # it came at the moment in which nobody wanted it any more
            raise

    def give_back(self, instance: Instance) -> None:
        """Gives a place back, to the next who waits."""
        instance.give_back()
        self.hand_out()

    def hand_out(self) -> None:
        """Gives the free places to those who wait."""
        while self._waiting and (instance := self._free()):
            place = self._waiting.popleft().place
            if not place.done():
                instance.take()
                place.set_result(instance)

    def refuse(self, reason: Exception, *, after_s: float = 0) -> None:
        """Ends the waiting of those who have waited for so long."""
        while self._waiting and time.monotonic() - self._waiting[0].since >= after_s:
            place = self._waiting.popleft().place
            if not place.done():
                place.set_exception(reason)

    def _free(self) -> Instance | None:
        live = [instance for instance in self.instances if instance.listening and not instance.ended.is_set()]
        preferred = max(1, self.wanted)
        for some in (live[:preferred], live[preferred:]):
            free = [instance for instance in some if instance.in_flight < self._concurrency]
            if free:
                return min(free, key=lambda instance: (instance.in_flight, instance.used_at))
        return None
