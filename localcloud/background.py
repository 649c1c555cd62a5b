"""Runs an aiohttp application in a thread of this process, on loopback, and on docker's bridge if it is to."""

import asyncio
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from errno import EADDRINUSE

from aiohttp import web

from localcloud.engine import Bridge, EngineError

LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 10


def free_port() -> int:
    """Returns a port of loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def bound_to(bridge: Bridge, port: int) -> socket.socket:
    """Returns a socket for what containers send through a bridge, and for nothing else.

    The address alone would not do: Linux takes a packet for any of its addresses from every network that it is in
    (https://www.rfc-editor.org/rfc/rfc1122#page-63, the weak model).

    Raises:
        EngineError: There is no such bridge on this machine, as when docker runs in a virtual machine.
        OSError: The port is taken.
    """
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, bridge.interface.encode())
        bound.bind((bridge.address, port))
    except OSError as error:
        bound.close()
        if error.errno == EADDRINUSE:
            raise
        raise EngineError(
            f"cannot listen on {bridge.address} of {bridge.interface}, where docker's containers find this machine: "
            f"{error.strerror}. docker's daemon must run on this machine itself, as root; podman needs no bridge."
        ) from error
    return bound


@contextmanager
def serving(application: web.Application, *, port: int = 0, bridge: Bridge | None = None) -> Generator[int]:
    """Serves the application until the block ends.

    Args:
        application: What answers.
        port: The port on 127.0.0.1; 0 takes a free one.
        bridge: Where containers need it, too.

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
        taken = int(runner.addresses[0][1])
        if bridge:
            await web.SockSite(runner, bound_to(bridge, taken)).start()
        return taken

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(START_TIMEOUT_S)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(START_TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
