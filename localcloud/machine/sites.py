"""Web applications on ports of this machine's loopback that stay the same when the local cloud is started again.

Containers, browsers and shells keep the addresses, so a port that was chosen once is remembered. What containers need
listens on docker's bridge too, where docker is: its containers do not reach loopback.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from containers.engine import HOST
from containers.loopback import LOOPBACK
from localcloud.machine.background import bound_to, runner
from localcloud.terraform.model import at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ssl import SSLContext

    from containers.engine import Bridge
    from localcloud.machine.callers import Callers
    from localcloud.store import Store

_PORT = "machine.port"
_REGISTERED = 10_000  # from here on few programs have a port of their own
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class PortTaken(Exception):  # noqa: N818 - what happened
    """Somebody else listens on a port."""


class Sites:
    """The applications that are served.

    Args:
        store: Where ports are remembered.
        bridge: Where containers reach this machine; None if that is loopback.
    """

    def __init__(self, store: Store, bridge: Bridge | None) -> None:
        self._store = store
        self._bridge = bridge
        self._runners: list[web.AppRunner] = []

    async def open(
        self,
        name: str,
        application: web.Application,
        callers: Callers,
        *,
        port: int = 0,
        tls: SSLContext | None = None,
    ) -> int:
        """Serves an application.

        Args:
            name: Under which its port is remembered.
            application: What answers.
            callers: Who may call it.
            port: The port; 0 takes the remembered one, or at the first time a free one.
            tls: For https.

        Returns:
            The port.

        Raises:
            PortTaken: The port is in use.
        """
        port = port or self._remembered(name)
        address = LOOPBACK
        served = runner(application, callers)
        await served.setup()
        try:
            await web.TCPSite(served, LOOPBACK, port, ssl_context=tls).start()
            if self._bridge and HOST in (callers.names or ()):
                address = self._bridge.address
                await web.SockSite(served, bound_to(self._bridge, port)).start()
        except OSError as error:
            await served.cleanup()
            raise PortTaken(f"port {port} of {address} ({name}) is taken by another program") from error
        self._runners.append(served)
        return port

    def _remembered(self, name: str) -> int:
        found = at(self._store.get(_PORT, name), "port")
        if isinstance(found, int):
            return found
        port = next(port for port in _candidates() if _is_free(port))
        self._store.put(_PORT, name, {"port": port})
        return port

    async def close(self) -> None:
        """Ends all of them."""
        for served in self._runners:
            await served.cleanup()


def _candidates() -> Iterator[int]:
    """Ports that the kernel gives to nobody else, in no order; a connection of any program may have one of the others.

    https://www.kernel.org/doc/html/latest/networking/ip-sysctl.html
    """
    lowest = int(_EPHEMERAL.read_text().split()[0]) if _EPHEMERAL.exists() else 32_768
    yield from random.sample(range(min(_REGISTERED, lowest - 1_000), lowest), 1_000)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
