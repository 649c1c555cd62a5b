"""A server that logs in as MySQL 8.4 does behind Google's proxy: `caching_sha2_password`, a cold cache, no clear text.

https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from itertools import cycle
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = b"caching_sha2_password\0"
# LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH and its length encoding
CAPABILITIES = 0x1 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000 | 0x200000
MORE_DATA, FULL_LOGIN, KEY_WANTED = b"\x01", b"\x04", b"\x02"
OK = b"\0\0\0\x02\0\0\0"
DENIED = b"\xff" + struct.pack("<H", 1045) + b"#28000Access denied for user 'mlflow'@'cloudsqlproxy~127.0.0.1'"


class Sha2Server:
    """Lets one password in, if it comes encrypted; answers every query with OK.

    Attributes:
        seen: How each login was tried: `clear` or `encrypted`.
    """

    def __init__(self, path: Path, password: str) -> None:
        self.seen: list[str] = []
        self._password = password.encode()
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        """Takes no more logins."""
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._log_in(_Packets(connection))

    def _log_in(self, packets: _Packets) -> None:
        salt = os.urandom(20).replace(b"\0", b"x")
        packets.send(_greeting(salt))
        packets.receive()  # the answer to the salt, which a cold cache cannot check
        packets.send(MORE_DATA + FULL_LOGIN)
        answer = packets.receive()
        if answer != KEY_WANTED:
            self.seen.append("clear")
            packets.send(DENIED)
            return
        pem = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        packets.send(MORE_DATA + self._key.public_key().public_bytes(*pem))
        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303 - MySQL's choice
        hidden = self._key.decrypt(packets.receive(), oaep)
        self.seen.append("encrypted")
        password = bytes(byte ^ salted for byte, salted in zip(hidden, cycle(salt), strict=False))
        if password != self._password + b"\0":
            packets.send(DENIED)
            return
        packets.send(OK)
        while packets.receive():
            packets.send(OK)


class _Packets:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._number = 0

    def send(self, payload: bytes) -> None:
        self._connection.sendall(struct.pack("<I", len(payload))[:3] + bytes([self._number]) + payload)
        self._number += 1

    def receive(self) -> bytes:
        header = self._connection.recv(4, socket.MSG_WAITALL)
        if len(header) < 4:
            return b""
        self._number = header[3] + 1
        return self._connection.recv(int.from_bytes(header[:3], "little"), socket.MSG_WAITALL)


def _greeting(salt: bytes) -> bytes:
    low, high = CAPABILITIES & 0xFFFF, CAPABILITIES >> 16
    flags = struct.pack("<HBHHB", low, 255, 2, high, len(salt) + 1)
    return b"\x0a8.4.5\0" + struct.pack("<I", 1) + salt[:8] + b"\0" + flags + bytes(10) + salt[8:] + b"\0" + PLUGIN
