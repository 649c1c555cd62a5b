"""Web applications on ports of this machine's loopback that stay the same when the local cloud is started again.

Containers, browsers and shells keep the addresses, so a port that was chosen once is remembered. What containers need
listens on docker's bridge too, where docker is: its containers do not reach loopback.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from aiohttp import web

from localcloud.background import LOOPBACK, bound_to
from localcloud.model import at

if TYPE_CHECKING:
    from ssl import SSLContext

    from localcloud.engine import Bridge
    from localcloud.store import Store

_PORT = "machine.port"


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
        *,
        port: int = 0,
        tls: SSLContext | None = None,
        for_containers: bool = False,
    ) -> int:
        """Serves an application.

        Args:
            name: Under which its port is remembered.
            application: What answers.
            port: The port; 0 takes the remembered one, or at the first time a free one.
            tls: For https.
            for_containers: Containers call it.

        Returns:
            The port.

        Raises:
            PortTaken: The port is in use.
        """
        port = port or self._remembered(name)
        # Client addresses in an access log would be this machine's own; a request that the client gave up is ended.
        address = LOOPBACK
        runner = web.AppRunner(application, access_log=None, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, port, ssl_context=tls).start()
            if self._bridge and for_containers:
                address = self._bridge.address
                await web.SockSite(runner, bound_to(self._bridge, port)).start()
        except OSError as error:
            await runner.cleanup()
            raise PortTaken(f"port {port} of {address} ({name}) is taken by another program") from error
        self._runners.append(runner)
        return port

    def _remembered(self, name: str) -> int:
        found = at(self._store.get(_PORT, name), "port")
        if isinstance(found, int):
            return found
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        self._store.put(_PORT, name, {"port": port})
        return port

    async def close(self) -> None:
        """Ends all of them."""
        for runner in self._runners:
            await runner.cleanup()
