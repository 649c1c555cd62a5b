#!/usr/bin/python3
"""Runs PostgreSQL behind the login of Cloud SQL: a service account gives an access token in place of a password.

The server lets accounts in without a password (pg_hba.conf), on a socket that this program alone reaches; whoever is no
account logs in to the server itself. The local cloud is asked whether a token is good, by the socket in the folder of
LOGINS; where nothing answers, no account gets in.

Usage: login.py FOLDER SERVERS_FOLDER COMMAND..., where the folders get the sockets and the command is that of the
server; it ends with it.

https://www.postgresql.org/docs/current/protocol-flow.html, https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

SOCKET = ".s.PGSQL.5432"
ACCOUNT = ".iam"  # the end of each account's name: https://cloud.google.com/sql/docs/postgres/add-manage-iam-users
TLS, GSS, CANCEL = 80877103, 80877104, 80877102
CLEAR_PASSWORD_WANTED = b"R" + (8).to_bytes(4, "big") + (3).to_bytes(4, "big")
LONGEST = 64 * 1024
PIECE = 64 * 1024


async def receive(reader: asyncio.StreamReader) -> bytes:
    """Returns the next message without its type: its length, and what it says."""
    length = await reader.readexactly(4)
    if int.from_bytes(length, "big") > LONGEST:
        raise ValueError
    return length + await reader.readexactly(int.from_bytes(length, "big") - 4)


def user_of(start: bytes) -> str:
    """Returns who a start-up message says it is."""
    words = start[8:].split(b"\0")
    return dict(zip(words[::2], words[1::2], strict=False)).get(b"user", b"").decode(errors="replace")


def refusal(user: str) -> bytes:
    """Returns Cloud SQL's words."""
    said = f'Cloud SQL IAM service account authentication failed for user "{user}"'
    fields = b"".join(part.encode() + b"\0" for part in ("SFATAL", "VFATAL", "C28000", f"M{said}")) + b"\0"
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


async def is_let_in(user: str, token: str) -> bool:
    """Asks the local cloud."""
    with contextlib.suppress(OSError, ValueError):
        reader, writer = await asyncio.open_unix_connection(f"{os.environ['LOGINS']}/login")
        writer.write(json.dumps({"instance": os.environ["INSTANCE"], "user": user, "token": token}).encode() + b"\n")
        said = json.loads(await reader.readline())
        writer.close()
        return bool(said["password"])
    return False


async def log_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Returns the start-up message of a client that may go on to the server; empty for one that may not."""
    start = await receive(reader)
    while int.from_bytes(start[4:8], "big") in (TLS, GSS):
        writer.write(b"N")
        start = await receive(reader)
    user = user_of(start)
    if int.from_bytes(start[4:8], "big") == CANCEL or not user.endswith(ACCOUNT):
        return start
    writer.write(CLEAR_PASSWORD_WANTED)
    if await reader.readexactly(1) != b"p":
        return b""
    token = (await receive(reader))[4:].rstrip(b"\0").decode(errors="replace")
    if await is_let_in(user, token):
        return start
    sys.stderr.write(f"{user} did not get in\n")
    writer.write(refusal(user))
    await writer.drain()
    return b""


async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Hands on what one end says, until it has said all."""
    with contextlib.suppress(OSError):
        while piece := await source.read(PIECE):
            target.write(piece)
            await target.drain()


async def serve(server_socket: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Lets one client in, and passes on what it and the server say until one of them goes away."""
    with contextlib.suppress(OSError, EOFError, ValueError):  # a client, or a server, that gives up
        if start := await log_in(reader, writer):
            answers, server = await asyncio.open_unix_connection(server_socket)
            server.write(start)
            ends = [asyncio.create_task(pass_on(*pair)) for pair in ((reader, server), (answers, writer))]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            server.close()
    writer.close()


async def run(listening: Path, server_socket: Path, command: list[str]) -> int:
    """Runs the server and listens once it does; returns its exit status."""
    server = await asyncio.create_subprocess_exec(*command)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.send_signal, number)
    ended = asyncio.create_task(server.wait())
    while not ended.done() and not server_socket.is_socket():  # noqa: ASYNC110, ASYNC240 - no event tells of it
        await asyncio.sleep(0.02)
    if not ended.done():
        async with await asyncio.start_unix_server(partial(serve, server_socket), listening):
            listening.chmod(0o777)  # noqa: ASYNC240 - who sees the socket may try to log in
            await asyncio.wait([ended])
    return await ended


def main() -> int:
    """Reads the command line, and runs; returns the server's exit status."""
    folder, servers_folder, *command = sys.argv[1:]
    listening, server_socket = Path(folder) / SOCKET, Path(servers_folder) / SOCKET
    for left in (listening, server_socket):  # of a server that was killed
        left.unlink(missing_ok=True)
    return asyncio.run(run(listening, server_socket, command))


if __name__ == "__main__":
    sys.exit(main())
