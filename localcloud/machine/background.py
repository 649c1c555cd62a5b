"""Runs an aiohttp application in a thread of this process, on loopback, and on docker's bridge if it is to."""

import asyncio
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from errno import EADDRINUSE

from aiohttp import web

from containers.engine import Bridge, EngineError
from containers.loopback import LOOPBACK
from localcloud.machine.callers import CONTAINERS, Callers, admit

START_TIMEOUT_S = 10
_LONGEST_LINE = 256 * 1024  # bytes; who needs a limit counts all headers together


def free_port(address: str = LOOPBACK) -> int:
    """Returns a port of a loopback address that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def runner(application: web.Application, callers: Callers) -> web.AppRunner:
    """Makes what every server of the local cloud is run by.

    Bodies stay as they were sent (aiohttp would unpack them, and leave their old length), and a request that the client
    gave up is ended. The addresses in an access log would be this machine's own.
    """
    admit(application, callers)
    return web.AppRunner(
        application,
        access_log=None,
        auto_decompress=False,
        handler_cancellation=True,
        max_field_size=_LONGEST_LINE,
        max_line_size=_LONGEST_LINE,
    )


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
def serving(
    application: web.Application, *, port: int = 0, bridge: Bridge | None = None, callers: Callers = CONTAINERS
) -> Generator[int]:
    """Serves the application until the block ends.

    Args:
        application: What answers.
        port: The port on 127.0.0.1; 0 takes a free one.
        bridge: Also where containers need it.
        callers: Who may call it.

    Yields:
        The port.

    Raises:
        OSError: The port is taken.
    """
    loop = asyncio.new_event_loop()
    served = runner(application, callers)
    thread = threading.Thread(target=loop.run_forever, name=f"serving:{port}", daemon=True)
    thread.start()

    async def start() -> int:
        await served.setup()
        await web.TCPSite(served, LOOPBACK, port).start()
        taken = int(served.addresses[0][1])
        if bridge:
            await web.SockSite(served, bound_to(bridge, taken)).start()
        return taken

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(START_TIMEOUT_S)
    finally:
        asyncio.run_coroutine_threadsafe(served.cleanup(), loop).result(START_TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
