"""Logs in to MySQL 8.4 through the socket in /cloudsql, whatever the server's cache of passwords holds.

Users of MySQL 8.4 have `caching_sha2_password`. While its cache is cold (a new user, a new password, a restart) the
server wants the password itself: in clear on a connection that it holds to be secure, else encrypted with its RSA key.
PyMySQL takes every unix socket for secure. The one in /cloudsql ends in Google's proxy, and the server, behind that,
refuses a password in clear: https://github.com/GoogleCloudPlatform/cloud-sql-proxy/issues/2317. Later proxies tell the
server that the connection is secure (https://github.com/GoogleCloudPlatform/cloud-sql-jdbc-socket-factory/pull/2207),
which then takes a request for its key for a wrong password. Which of them Cloud Run has is not documented: the key is
asked for first, and where the server gives none, the login is repeated in clear. With TLS, which PyMySQL begins by
itself where a server offers it, there is nothing to decide.
"""

import ssl
from typing import Any

from pymysql import _auth, connections, err  # pyright: ignore[reportMissingModuleSource]

_AUTH: Any = _auth  # have no types
_CONNECTION: Any = connections.Connection
_ACCESS_DENIED = 1045


def install() -> None:
    """Makes PyMySQL ask for the server's key also on unix sockets."""
    authenticate, connect = _AUTH.caching_sha2_password_auth, _CONNECTION.connect

    # PyMySQL has no option for it; it keeps in `_secure` how a password may be sent.
    def with_the_servers_key(connection: Any, packet: Any) -> Any:  # noqa: ANN401 - PyMySQL's own, without types
        if connection.unix_socket and not isinstance(connection._sock, ssl.SSLSocket):  # noqa: SLF001
            connection._secure = connection.key_refused  # noqa: SLF001
            connection.asked_for_key = not connection.key_refused
        return authenticate(connection, packet)

    def connect_either_way(connection: Any, sock: Any = None) -> None:  # noqa: ANN401
        connection.asked_for_key = connection.key_refused = False
        try:
            connect(connection, sock)
        except err.OperationalError as error:
            connection.key_refused = connection.asked_for_key and not connection.server_public_key
            if error.args[0] != _ACCESS_DENIED or not connection.key_refused:
                raise
            connect(connection)

    _AUTH.caching_sha2_password_auth = with_the_servers_key
    _CONNECTION.connect = connect_either_way
