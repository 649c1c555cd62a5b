"""A login that stands before a database server: what the logins of both engines share.

postgresql/front.py is a link to this file: each image is built from a folder of its own.
"""

# ruff: noqa: INP001 - it lies beside login.py in an image, and in no package

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    Serve = Callable[[socket.socket], Awaitable[None]]
    Signals = Mapping[signal.Signals, signal.Signals]

PIECE = 64 * 1024


async def ask(user: str, **more: str) -> dict[str, object]:
    """Asks the local cloud about a user; where it does not answer, the user is no account."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        reader, writer = await asyncio.open_unix_connection(f"{os.environ['LOGINS']}/login")
        writer.write(json.dumps({"instance": os.environ["INSTANCE"], "user": user, **more}).encode() + b"\n")
        said = json.loads(await reader.readline())
        writer.close()
        return said
    return {}


async def exactly(connection: socket.socket, size: int) -> bytes:
    """Reads so many bytes and not one more: what follows may be the beginning of TLS."""
    found = b""
    while len(found) < size:
        piece = await asyncio.get_running_loop().sock_recv(connection, size - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


async def streams(
    connection: socket.socket, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Returns the two ends of a connection, which is closed with the second from now on."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=tls)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def pass_on(*ends: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Passes on what two ends say to each other, until one of them goes away."""

    async def one_way(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(PIECE):
                target.write(piece)
                await target.drain()

    (reader, writer), (other_reader, other_writer) = ends
    ways = [one_way(reader, other_writer), one_way(other_reader, writer)]
    await asyncio.wait([asyncio.create_task(way) for way in ways], return_when=asyncio.FIRST_COMPLETED)


def tls_of(folder: Path) -> ssl.SSLContext:
    """Returns what a server with key.pem, certificate.pem and authority.pem in a folder needs.

    With SSL_MODE=TRUSTED_CLIENT_CERTIFICATE_REQUIRED the authority must have issued a certificate of the client's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    if os.environ.get("SSL_MODE") == "TRUSTED_CLIENT_CERTIFICATE_REQUIRED":
        context.load_verify_locations(folder / "authority.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def _listen(path: Path, serve: Serve) -> None:
    path.unlink(missing_ok=True)  # noqa: ASYNC240 - once
    with socket.socket(socket.AF_UNIX) as server:
        server.setblocking(False)  # noqa: FBT003
        server.bind(str(path))
        path.chmod(0o777)  # noqa: ASYNC240 - who sees the socket may try to log in
        server.listen()
        served: set[asyncio.Future[None]] = set()
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(server)
            task = asyncio.ensure_future(serve(connection))
            served.add(task)  # the event loop alone would forget it
            task.add_done_callback(served.discard)


async def run(
    command: list[str],
    server_socket: Path,
    sockets: Mapping[Path, Serve],
    signals: Mapping[signal.Signals, signal.Signals],
) -> int:
    """Runs a server, and serves sockets of one's own once it has its own.

    Args:
        command: The server's command.
        server_socket: Where it listens.
        sockets: Where clients come, and who lets them in.
        signals: What the server is sent when this program gets one.

    Returns:
        The server's exit status.
    """
    server_socket.unlink(missing_ok=True)  # noqa: ASYNC240 - of a server that was killed
    server = await asyncio.create_subprocess_exec(*command)
    for number, sent in signals.items():
        asyncio.get_running_loop().add_signal_handler(number, server.send_signal, sent)
    ended = asyncio.create_task(server.wait())
    while not ended.done() and not server_socket.is_socket():  # noqa: ASYNC110, ASYNC240 - no event tells of it
        await asyncio.sleep(0.02)
    listeners = [asyncio.create_task(_listen(path, serve)) for path, serve in sockets.items()]
    await asyncio.wait([ended, *listeners], return_when=asyncio.FIRST_COMPLETED)
    return await ended
