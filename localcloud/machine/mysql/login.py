#!/usr/bin/python3
"""Runs MariaDB behind the login of MySQL 8.4: `caching_sha2_password`, whose cache is always cold, and no clear text.

On Google the socket in /cloudsql ends in a proxy, and MySQL behind it takes nobody's connection for a secure one:
https://github.com/GoogleCloudPlatform/cloud-sql-proxy/issues/2317. Here this program stands in that place. It takes the
password as MySQL does, and proves it to MariaDB, which knows and checks the users. A service account gives an access
token instead, in clear, as on Google; whether it is good is asked of the local cloud, by the socket in the folder of
LOGINS, and where nothing answers no account gets in. Debian has MySQL, and MariaDB with a login of this kind, in
unstable alone.

Usage: login.py [--secure] [--tls=FOLDER] SOCKET SERVER_SOCKET COMMAND..., where the command is the server's; it ends
with it. With --secure it is as behind a later proxy, which tells MySQL that the connection is secure: a password is
wanted in clear, and a request for the key is a wrong one. With --tls there is a second socket beside it, `network`, for
clients of the network: they begin TLS or are refused. The folder has key.pem, certificate.pem and authority.pem, which
must have issued a client's certificate with SSL_MODE=TRUSTED_CLIENT_CERTIFICATE_REQUIRED.

https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from front import ask, pass_on, run, streams, tls_of
from packets import (
    ERROR,
    MORE_DATA,
    OK,
    PLUGIN,
    SSL,
    SWITCH,
    Answer,
    Greeting,
    Packets,
    Refused,
    first_packet,
    framed,
    proof_of,
)

if TYPE_CHECKING:
    import socket
    import ssl

CLEAR_PLUGIN = b"mysql_clear_password\0"
FULL_LOGIN, KEY_WANTED = b"\x04", b"\x02"
NO_PASSWORD = (b"", b"\0")
SALT_BYTES = 20
# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html#error_er_secure_transport_required
IN_CLEAR = (
    ERROR
    + (3159).to_bytes(2, "little")
    + (b"#HY000Connections using insecure transport are prohibited while --require_secure_transport=ON.")
)
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303 - MySQL's choice


class Front:
    """Takes the passwords of clients, and proves them to MariaDB."""

    def __init__(self, server_socket: str, *, secure: bool, tls: ssl.SSLContext | None) -> None:
        self._server_socket, self._secure, self._tls = server_socket, secure, tls
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)

    async def serve(self, connection: socket.socket, *, network: bool) -> None:
        """Lets one client in, and passes on what it and the server say until one of them goes away.

        In the network it sends its wish for TLS and the first bytes of that together: these must not be read before.
        """
        loop, client, server = asyncio.get_running_loop(), None, None
        with contextlib.suppress(OSError, EOFError, ValueError, IndexError):  # a client, or a server, that gives up
            try:
                server = Packets(*await asyncio.open_unix_connection(self._server_socket))
                greeting = Greeting.of(await server.receive(), tls=network)
                await loop.sock_sendall(connection, framed(greeting.changed, 0))
                if network and not int.from_bytes((await first_packet(connection))[:4], "little") & SSL:
                    raise Refused(IN_CLEAR)  # noqa: TRY301
                client = Packets(*await streams(connection, self._tls if network else None))
                await self._let_in(client, server, greeting, secure=network or self._secure)
            except Refused as refused:
                if client:
                    client.send(refused.args[0])
                    await client.writer.drain()
                else:
                    await loop.sock_sendall(connection, framed(refused.args[0], 2 if network else 0))
        for end in (client, server):
            if end:
                end.writer.close()
        if not client:  # else it is closed with the stream, and its number may be another connection's by now
            connection.close()

    async def _let_in(self, client: Packets, server: Packets, greeting: Greeting, *, secure: bool) -> None:
        answer = Answer.of(await client.receive())
        if (await ask(answer.user)).get("account"):
            password = await self._account_password(client, answer)
        else:
            password = await self._password(client, answer, greeting.salt, secure=secure)
        server.send(answer.with_proof(proof_of(password, greeting.salt)))
        said = await server.receive()
        if said.startswith(SWITCH):
            server.send(proof_of(password, said[1:].partition(b"\0")[2][:SALT_BYTES]))
            said = await server.receive()
        if not said.startswith(OK):
            raise Refused(said)
        client.send(said)
        await pass_on(client.ends, server.ends)

    async def _account_password(self, client: Packets, answer: Answer) -> bytes:
        # https://dev.mysql.com/doc/refman/8.4/en/cleartext-pluggable-authentication.html
        client.send(SWITCH + CLEAR_PLUGIN)
        token = (await client.receive()).removesuffix(b"\0").decode(errors="replace")
        password = (await ask(answer.user, token=token)).get("password")
        if not isinstance(password, str):
            sys.stderr.write(f"{answer.user} did not get in\n")
            raise answer.denied()
        return password.encode()

    async def _password(self, client: Packets, answer: Answer, salt: bytes, *, secure: bool) -> bytes:
        proof = answer.proof
        if answer.plugin != PLUGIN:
            client.send(SWITCH + PLUGIN + salt + b"\0")
            proof = await client.receive()
        if proof in NO_PASSWORD:
            return b""
        client.send(MORE_DATA + FULL_LOGIN)  # the proof is for a cache, and this one is cold
        full = await client.receive()
        if secure:
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


def main() -> int:
    """Reads the command line, and runs; returns the server's exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--secure", action="store_true")
    parser.add_argument("--tls", type=Path)
    parser.add_argument("socket", type=Path)
    parser.add_argument("server_socket", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    found = parser.parse_args()
    front = Front(str(found.server_socket), secure=found.secure, tls=tls_of(found.tls) if found.tls else None)
    sockets = {found.socket: partial(front.serve, network=False)}
    if found.tls:
        sockets[found.socket.with_name("network")] = partial(front.serve, network=True)
    # MariaDB goes on after an INT.
    signals: dict[signal.Signals, signal.Signals] = dict.fromkeys((signal.SIGINT, signal.SIGTERM), signal.SIGTERM)
    return asyncio.run(run(found.command, found.server_socket, sockets, signals))


if __name__ == "__main__":
    sys.exit(main())
