#!/usr/bin/python3
"""Runs PostgreSQL behind the login of Cloud SQL: a service account gives an access token in place of a password.

The server lets accounts in without a password (pg_hba.conf), on a socket that this program alone reaches; whoever is no
account logs in to the server itself. The local cloud is asked whether a token is good, by the socket in the folder of
LOGINS; where nothing answers, no account gets in.

Usage: login.py [--tls=FOLDER] SOCKETS SERVERS_SOCKETS COMMAND..., where the two folders get the sockets and the command
is that of the server; it ends with it. With --tls there is a second socket, `network`, for clients of the network:
those who do not begin TLS are refused unless SSL_MODE=ALLOW_UNENCRYPTED_AND_ENCRYPTED. `front.tls_of` says what FOLDER
has.

https://www.postgresql.org/docs/current/protocol-flow.html, https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from front import ask, exactly, pass_on, run, streams, tls_of

if TYPE_CHECKING:
    import socket
    import ssl

SOCKET = ".s.PGSQL.5432"
ACCOUNT = ".iam"  # the end of each account's name: https://cloud.google.com/sql/docs/postgres/add-manage-iam-users
TLS, GSS, CANCEL = 80877103, 80877104, 80877102
CLEAR_PASSWORD_WANTED = b"R" + (8).to_bytes(4, "big") + (3).to_bytes(4, "big")
IN_CLEAR = "ALLOW_UNENCRYPTED_AND_ENCRYPTED"
LONGEST = 64 * 1024


def size_of(length: bytes) -> int:
    """Returns how much follows the length of a message.

    Raises:
        ValueError: More than a login needs.
    """
    size = int.from_bytes(length, "big")
    if not len(length) <= size <= LONGEST:
        raise ValueError
    return size - len(length)


def kind_of(start: bytes) -> int:
    """Returns what a first message asks for; the protocol's version where it begins a session."""
    return int.from_bytes(start[4:8], "big")


def named(start: bytes) -> dict[str, str]:
    """Returns what a start-up message says, such as its user and database."""
    words = [word.decode(errors="replace") for word in start[8:].split(b"\0")]
    return dict(zip(words[::2], words[1::2], strict=False))


def refusal(said: str) -> bytes:
    """Returns a server's words for a login that gets no further."""
    fields = b"".join(part.encode() + b"\0" for part in ("SFATAL", "VFATAL", "C28000", f"M{said}")) + b"\0"
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


async def start_of(connection: socket.socket, tls: ssl.SSLContext | None) -> tuple[bytes, bool]:
    """Reads the first message that is not a wish for encryption, of which TLS alone is granted, where there is any.

    Returns:
        It, empty if TLS begins and the message comes under it; and whether TLS begins.
    """
    while True:
        length = await exactly(connection, 4)
        start = length + await exactly(connection, size_of(length))
        if kind_of(start) == TLS and tls:
            await asyncio.get_running_loop().sock_sendall(connection, b"S")
            return b"", True
        if kind_of(start) not in {TLS, GSS}:
            return start, False
        await asyncio.get_running_loop().sock_sendall(connection, b"N")


async def is_let_in(start: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether a client may go on to the server; one that may not is told why."""
    user = named(start).get("user", "")
    if kind_of(start) == CANCEL or not user.endswith(ACCOUNT):
        return True
    writer.write(CLEAR_PASSWORD_WANTED)
    if await reader.readexactly(1) != b"p":
        return False
    token = await reader.readexactly(size_of(await reader.readexactly(4)))
    if (await ask(user, token=token.rstrip(b"\0").decode(errors="replace"))).get("password"):
        return True
    sys.stderr.write(f"{user} did not get in\n")
    # Cloud SQL's words.
    writer.write(refusal(f'Cloud SQL IAM service account authentication failed for user "{user}"'))
    await writer.drain()
    return False


async def serve(
    server_socket: Path, connection: socket.socket, *, network: bool = False, tls: ssl.SSLContext | None = None
) -> None:
    """Lets one client in, and passes on what it and the server say until one of them goes away."""
    reader = writer = None
    with contextlib.suppress(OSError, EOFError, ValueError):  # a client, or a server, that gives up
        start, encrypted = await start_of(connection, tls)
        reader, writer = await streams(connection, tls if encrypted else None)
        if encrypted:
            length = await reader.readexactly(4)
            start = length + await reader.readexactly(size_of(length))
        if network and not encrypted and os.environ["SSL_MODE"] != IN_CLEAR:
            who = f'user "{named(start).get("user")}", database "{named(start).get("database")}"'
            writer.write(refusal(f'no pg_hba.conf entry for host "127.0.0.1", {who}, no encryption'))
            await writer.drain()
        elif await is_let_in(start, reader, writer):
            server = await asyncio.open_unix_connection(server_socket)
            server[1].write(start)
            await pass_on((reader, writer), server)
            server[1].close()
    if writer:
        writer.close()
    else:
        connection.close()


def main() -> int:
    """Reads the command line, and runs; returns the server's exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", type=Path)
    parser.add_argument("sockets", type=Path)
    parser.add_argument("servers_sockets", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    found = parser.parse_args()
    server_socket = found.servers_sockets / SOCKET
    sockets = {found.sockets / SOCKET: partial(serve, server_socket)}
    if found.tls:
        sockets[found.sockets / "network"] = partial(serve, server_socket, network=True, tls=tls_of(found.tls))
    signals = {number: number for number in (signal.SIGINT, signal.SIGTERM)}
    return asyncio.run(run(found.command, server_socket, sockets, signals))


if __name__ == "__main__":
    sys.exit(main())
