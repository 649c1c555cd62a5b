"""Packets of MySQL's protocol while somebody logs in: read, taken to pieces, and written again for MariaDB.

https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets.html
"""

# ruff: noqa: INP001 - it lies beside login.py in an image, and in no package

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from front import exactly

if TYPE_CHECKING:
    import asyncio
    import socket

PLUGIN, SERVERS_PLUGIN = b"caching_sha2_password\0", b"mysql_native_password\0"
COMPRESS, CONNECT_WITH_DB, SSL = 0x20, 0x8, 0x800
OK, MORE_DATA, SWITCH, ERROR = b"\0", b"\x01", b"\xfe", b"\xff"
HEADER = 4  # the length of a packet, in three bytes, and its number


class Refused(Exception):  # noqa: N818 - what happened
    """A login that gets no further; the argument is the packet that says so."""


class Packets:
    """One end of a connection while a login is under way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.ends = self._reader, self.writer = reader, writer
        self._number = 0

    async def receive(self) -> bytes:
        """Returns the next packet; the answer to it has the number after its own."""
        header = await self._reader.readexactly(HEADER)
        self._number = header[3] + 1
        return await self._reader.readexactly(int.from_bytes(header[:3], "little"))

    def send(self, payload: bytes) -> None:
        """Sends a packet."""
        self.writer.write(framed(payload, self._number))
        self._number += 1


def framed(payload: bytes, number: int) -> bytes:
    """Returns a packet as it is sent."""
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


class Greeting(NamedTuple):
    """The first packet of a server.

    Attributes:
        salt: What a password is hashed with.
        changed: The same greeting, with MySQL's login and no compression.
    """

    salt: bytes
    changed: bytes

    @classmethod
    def of(cls, packet: bytes, *, tls: bool) -> Greeting:
        """Reads and changes what MariaDB says, which offers no TLS itself."""
        if packet.startswith(ERROR):  # too many connections
            raise Refused(packet)
        at = packet.index(0, 1) + 1  # behind the version
        offers = int.from_bytes(packet[at + 13 : at + 15], "little") & ~(SSL | COMPRESS) | (SSL if tls else 0)
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
        asks = int.from_bytes(packet[:4], "little") & ~SSL  # which ends here
        return cls(
            asks.to_bytes(4, "little") + packet[4:at], packet[at + 1 : proof_end], database, plugin, packet[plugin_end:]
        )

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


def proof_of(password: bytes, salt: bytes) -> bytes:
    """Returns what shows a server that its client knows a password, as `mysql_native_password` has it."""
    if not password:
        return b""
    once = hashlib.sha1(password).digest()  # noqa: S324 - MySQL's choice
    salted = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()  # noqa: S324
    return bytes(left ^ right for left, right in zip(once, salted, strict=True))


async def first_packet(connection: socket.socket) -> bytes:
    """Reads one packet and not a byte more."""
    header = await exactly(connection, HEADER)
    return await exactly(connection, int.from_bytes(header[:3], "little"))
