"""A way to a server on which connections break."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.google_endpoints import loop_in_thread, port_of

if TYPE_CHECKING:
    from collections.abc import Generator

PIECE = 64 * 1024


@dataclass
class Relay:
    """Hands bytes on, both ways.

    Attributes:
        cuts: After how many bytes the next connections break; one that has no number here does not.
        broken: How many have broken.
    """

    cuts: list[int] = field(default_factory=list[int])
    broken: int = 0
    _port: int = 0

    @contextmanager
    def standing(self, port: int) -> Generator[str]:
        """Stands before a port of this machine until the block ends; yields the address."""
        self._port = port
        with loop_in_thread() as loop:
            starting = asyncio.start_server(self._connect, "127.0.0.1", 0)
            server = asyncio.run_coroutine_threadsafe(starting, loop).result(10)
            yield f"http://127.0.0.1:{port_of(server)}"
            loop.call_soon_threadsafe(server.close)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self.cuts.pop(0) if self.cuts else None
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self._port)

        async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            nonlocal left
            with contextlib.suppress(ConnectionError):
                while data := await source.read(PIECE):
                    if left is not None and (left := left - len(data)) <= 0:
                        self.broken += 1
                        writer.transport.abort()
                        break
                    target.write(data)
                    await target.drain()
            target.close()

        await asyncio.gather(carry(reader, other_writer), carry(other_reader, writer))
