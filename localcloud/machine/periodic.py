"""Periodic work while the local cloud runs."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from localcloud.clock import Clock

_LOG = logging.getLogger(__name__)
_LOOK_S = 0.5  # somebody may have pushed the clock
_PUSHED_S = 30  # so much more has passed only if somebody did, or in the beginning


class Periodic(ABC):
    """Does something every few seconds of the local cloud's clock, and at once when that was pushed.

    From `open` to `close`; where it stumbles, the next time is another try.

    Args:
        clock: By which it goes.
    """

    every_s: ClassVar[float]
    _ticking: asyncio.Task[None] | None = None

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def open(self) -> None:
        """Begins."""
        self._ticking = asyncio.create_task(self._tick())

    async def close(self) -> None:
        """Ends."""
        if self._ticking:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)

    @abstractmethod
    async def tick(self) -> None:
        """Does it once."""

    async def _tick(self) -> None:
        last = datetime.fromtimestamp(0, UTC)
        while True:
            now = self.clock.now()
            passed = (now - last).total_seconds()
            if not 0 <= passed < self.every_s:
                last = now
                try:
                    await self.tick()
                except Exception:  # noqa: BLE001 - said in the docstring
                    _LOG.exception("%s stumbled", type(self).__name__)
                if passed > self.every_s + _PUSHED_S:
                    self.clock.notice(type(self).__name__, now)
            await asyncio.sleep(min(self.every_s, _LOOK_S))
