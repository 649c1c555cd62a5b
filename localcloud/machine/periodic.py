"""What is done again and again while the local cloud runs."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import ClassVar

_LOG = logging.getLogger(__name__)


class Periodic(ABC):
    """Does something every few seconds, from `open` to `close`; where it stumbles, the next time is another try."""

    every_s: ClassVar[float]
    _ticking: asyncio.Task[None] | None = None

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
        while True:
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - said in the docstring
                _LOG.exception("%s stumbled", type(self).__name__)
            await asyncio.sleep(self.every_s)
