"""Tells the fronts of database servers whether somebody may log in with an access token.

A front is a program in the server's container, which has no network: it asks over a unix socket, a line of JSON for a
line of JSON. `{"instance": ..., "user": ...}` is answered with whether the user is an account; with a `token` besides,
an account that may log in now gets what the server itself wants for a password.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from typing import TYPE_CHECKING

from localcloud.services import sql_logins

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.machine.identity import IdentityProvider
    from localcloud.resource import Cloud

_SOCKET = "login"


class Logins:
    """Answers them.

    Args:
        cloud: What is remembered.
        identity: Whose tokens are taken.
        folder: Gets the socket; containers mount it.
    """

    def __init__(self, cloud: Cloud, identity: IdentityProvider, folder: Path) -> None:
        self._cloud = cloud
        self._identity = identity
        self._folder = folder
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listens."""
        self._folder.mkdir(exist_ok=True)
        self._folder.chmod(0o755)  # nobody but containers comes here: the folder above is this person's own
        (self._folder / _SOCKET).unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        place = os.open(self._folder, os.O_PATH)
        try:
            # The path of a socket has 107 bytes at most: https://man7.org/linux/man-pages/man7/unix.7.html
            listening.bind(f"/proc/self/fd/{place}/{_SOCKET}")
        finally:
            os.close(place)
        (self._folder / _SOCKET).chmod(0o666)
        self._server = await asyncio.start_unix_server(self._answer, sock=listening)

    async def close(self) -> None:
        """Ends it."""
        if self._server:
            self._server.close()
            await self._server.wait_closed()
            (self._folder / _SOCKET).unlink(missing_ok=True)
            self._folder.rmdir()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, KeyError):  # a front that gives up
            asked = json.loads(await reader.readline())
            told = self._decide(str(asked["instance"]), str(asked["user"]), str(asked.get("token", "")))
            writer.write(json.dumps(told).encode() + b"\n")
            await writer.drain()
        writer.close()

    def _decide(self, instance: str, user: str, token: str) -> dict[str, object]:
        account = sql_logins.find(self._cloud, instance, user) is not None
        email = self._identity.authenticate(token, sql_logins.SCOPE) if token else None
        lets_in = email is not None and sql_logins.lets_in(self._cloud, instance, user, email)
        return {"account": account, "password": sql_logins.server_password(self._cloud, user) if lets_in else None}
