#!/usr/bin/python3
"""Runs MariaDB behind the login of MySQL 8.4: `caching_sha2_password`, whose cache is always cold, and no clear text.

On Google the socket in /cloudsql ends in a proxy, and MySQL behind it takes nobody's connection for a secure one:
https://github.com/GoogleCloudPlatform/cloud-sql-proxy/issues/2317. Here this program stands in that place. It takes the
password as MySQL does, and proves it to MariaDB, which knows and checks the users. A service account gives an access
token instead, in clear, as on Google; whether it is good is asked of the local cloud, by the socket in the folder of
LOGINS, and where nothing answers no account gets in. Debian has MySQL, and MariaDB with a
login of this kind, in unstable alone.

Usage: login.py [--secure] SOCKET SERVER_SOCKET COMMAND..., where the command is that of the server; it ends with it.
With --secure it is as behind a later proxy, which tells MySQL that the connection is secure: a password is wanted in
clear, and a request for the key is a wrong one.

https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets.html
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

PLUGIN, SERVERS_PLUGIN = b"caching_sha2_password\0", b"mysql_native_password\0"
CLEAR_PLUGIN = b"mysql_clear_password\0"
COMPRESS, CONNECT_WITH_DB, SSL = 0x20, 0x8, 0x800
OK, MORE_DATA, SWITCH, ERROR = b"\0", b"\x01", b"\xfe", b"\xff"
FULL_LOGIN, KEY_WANTED = b"\x04", b"\x02"
NO_PASSWORD = (b"", b"\0")
SALT_BYTES = 20
PIECE = 64 * 1024
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303 - MySQL's choice


class Refused(Exception):  # noqa: N818 - what happened
    """A login that gets no further; the argument is the packet that says so."""


class Packets:
    """One end of a connection while a login is under way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._number = 0

    async def receive(self) -> bytes:
        """Returns the next packet; the answer to it has the number after its own."""
        header = await self.reader.readexactly(4)
        self._number = header[3] + 1
        return await self.reader.readexactly(int.from_bytes(header[:3], "little"))

    def send(self, payload: bytes) -> None:
        """Sends a packet."""
        self.writer.write(len(payload).to_bytes(3, "little") + bytes([self._number]) + payload)
        self._number += 1


class Greeting(NamedTuple):
    """The first packet of a server.

    Attributes:
        salt: What a password is hashed with.
        changed: The same greeting, with MySQL's login and neither TLS nor compression.
    """

    salt: bytes
    changed: bytes

    @classmethod
    def of(cls, packet: bytes) -> Greeting:
        """Reads and changes what MariaDB says."""
        at = packet.index(0, 1) + 1  # behind the version
        offers = int.from_bytes(packet[at + 13 : at + 15], "little") & ~(SSL | COMPRESS)
        changed = packet[: at + 13] + offers.to_bytes(2, "little") + packet[at + 15 : at + 44] + PLUGIN
        return cls(packet[at + 4 : at + 12] + packet[at + 31 : at + 43], changed)


class Answer(NamedTuple):
    """A client's answer to the greeting, in parts: all before the proof of its password, the proof, and so on."""

    start: bytes
    proof: bytes
    database: bytes
    plugin: bytes
    attributes: bytes

    @classmethod
    def of(cls, packet: bytes) -> Answer:
        """Takes it to pieces."""
        at = packet.index(0, 32) + 1  # behind the user's name
        proof_end = at + 1 + packet[at]
        wants_database = int.from_bytes(packet[:4], "little") & CONNECT_WITH_DB
        database_end = packet.index(0, proof_end) + 1 if wants_database else proof_end
        plugin_end = packet.index(0, database_end) + 1
        database, plugin = packet[proof_end:database_end], packet[database_end:plugin_end]
        return cls(packet[:at], packet[at + 1 : proof_end], database, plugin, packet[plugin_end:])

    @property
    def user(self) -> str:
        """The name that is logged in with."""
        return self.start[32:-1].decode(errors="replace")

    def with_proof(self, proof: bytes) -> bytes:
        """Returns the packet as MariaDB wants it."""
        return self.start + bytes([len(proof)]) + proof + self.database + SERVERS_PLUGIN + self.attributes

    def denied(self) -> Refused:
        """MySQL's words."""
        said = f"#28000Access denied for user '{self.user}'@'cloudsqlproxy~127.0.0.1' (using password: YES)"
        return Refused(ERROR + (1045).to_bytes(2, "little") + said.encode())


class Front:
    """Takes the passwords of clients, and proves them to MariaDB."""

    def __init__(self, server_socket: str, *, secure: bool) -> None:
        self._server_socket, self._secure = server_socket, secure
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Lets one client in, and passes on what it and the server say until one of them goes away."""
        client, server = Packets(reader, writer), None
        with contextlib.suppress(OSError, EOFError, ValueError, IndexError):  # a client, or a server, that gives up
            try:
                server = Packets(*await asyncio.open_unix_connection(self._server_socket))
                await self._log_in(client, server)
                await asyncio.wait(
                    [asyncio.create_task(_pass_on(*pair)) for pair in ((client, server), (server, client))],
                    return_when=asyncio.FIRST_COMPLETED,
                )
            except Refused as refused:
                client.send(refused.args[0])
                await writer.drain()
        for end in (client, server):
            if end:
                end.writer.close()

    async def _log_in(self, client: Packets, server: Packets) -> None:
        said = await server.receive()
        if said.startswith(ERROR):  # too many connections
            raise Refused(said)
        greeting = Greeting.of(said)
        client.send(greeting.changed)
        answer = Answer.of(await client.receive())
        if (await _ask(answer.user)).get("account"):
            password = await self._account_password(client, answer)
        else:
            password = await self._password(client, answer, greeting.salt)
        server.send(answer.with_proof(_proof(password, greeting.salt)))
        said = await server.receive()
        if said.startswith(SWITCH):
            server.send(_proof(password, said[1:].partition(b"\0")[2][:SALT_BYTES]))
            said = await server.receive()
        if not said.startswith(OK):
            raise Refused(said)
        client.send(said)

    async def _account_password(self, client: Packets, answer: Answer) -> bytes:
        # https://dev.mysql.com/doc/refman/8.4/en/cleartext-pluggable-authentication.html
        client.send(SWITCH + CLEAR_PLUGIN)
        token = (await client.receive()).removesuffix(b"\0").decode(errors="replace")
        password = (await _ask(answer.user, token=token)).get("password")
        if not isinstance(password, str):
            sys.stderr.write(f"{answer.user} did not get in\n")
            raise answer.denied()
        return password.encode()

    async def _password(self, client: Packets, answer: Answer, salt: bytes) -> bytes:
        proof = answer.proof
        if answer.plugin != PLUGIN:
            client.send(SWITCH + PLUGIN + salt + b"\0")
            proof = await client.receive()
        if proof in NO_PASSWORD:
            return b""
        client.send(MORE_DATA + FULL_LOGIN)  # the proof is for a cache, and this one is cold
        full = await client.receive()
        if self._secure:
            return full.removesuffix(b"\0")
        if full != KEY_WANTED:
            sys.stderr.write(f"{answer.user} sent a password in clear; MySQL behind Google's proxy refuses it\n")
            raise answer.denied()
        pem = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        client.send(MORE_DATA + self._key.public_key().public_bytes(*pem))
        try:
            hidden = self._key.decrypt(await client.receive(), OAEP)
        except ValueError as error:
            raise answer.denied() from error
        return bytes(byte ^ salted for byte, salted in zip(hidden, cycle(salt), strict=False)).removesuffix(b"\0")


async def _ask(user: str, **more: str) -> dict[str, object]:
    """Asks the local cloud about a user; where it does not answer, the user is no account."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        reader, writer = await asyncio.open_unix_connection(f"{os.environ['LOGINS']}/login")
        writer.write(json.dumps({"instance": os.environ["INSTANCE"], "user": user, **more}).encode() + b"\n")
        said = json.loads(await reader.readline())
        writer.close()
        return said
    return {}


def _proof(password: bytes, salt: bytes) -> bytes:
    """As `mysql_native_password` has it."""
    if not password:
        return b""
    once = hashlib.sha1(password).digest()  # noqa: S324 - MySQL's choice
    salted = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()  # noqa: S324
    return bytes(left ^ right for left, right in zip(once, salted, strict=True))


async def _pass_on(source: Packets, target: Packets) -> None:
    with contextlib.suppress(OSError):
        while piece := await source.reader.read(PIECE):
            target.writer.write(piece)
            await target.writer.drain()


async def run(front: Front, listening: Path, server_socket: Path, command: list[str]) -> int:
    """Runs the server and listens once it does; returns its exit status."""
    server = await asyncio.create_subprocess_exec(*command)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.terminate)
    ended = asyncio.create_task(server.wait())
    while not ended.done() and not server_socket.is_socket():  # noqa: ASYNC110, ASYNC240 - no event tells of it
        await asyncio.sleep(0.02)
    if not ended.done():
        async with await asyncio.start_unix_server(front.serve, listening):
            listening.chmod(0o777)  # noqa: ASYNC240 - who sees the socket may try to log in
            await asyncio.wait([ended])
    return await ended


def main() -> int:
    """Reads the command line, and runs; returns the server's exit status."""
    secure = sys.argv[1] == "--secure"
    listening, server_socket, *command = sys.argv[1 + secure :]
    Path(server_socket).unlink(missing_ok=True)  # of a server that was killed
    return asyncio.run(run(Front(server_socket, secure=secure), Path(listening), Path(server_socket), command))


if __name__ == "__main__":
    sys.exit(main())
