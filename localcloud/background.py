"""Runs an aiohttp application in a thread of this process, on loopback only."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager

from aiohttp import web

LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 10


@contextmanager
def serving(application: web.Application, *, port: int = 0) -> Generator[int]:
    """Serves the application until the block ends.

    Args:
        application: What answers.
        port: The port on 127.0.0.1; 0 takes a free one.

    Yields:
        The port.

    Raises:
        OSError: The port is taken.
    """
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(application, handler_cancellation=True)
    thread = threading.Thread(target=loop.run_forever, name=f"serving:{port}", daemon=True)
    thread.start()

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, port).start()
        return int(runner.addresses[0][1])

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(START_TIMEOUT_S)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(START_TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
