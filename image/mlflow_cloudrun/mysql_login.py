"""Logs in to MySQL 8.4 through the socket in /cloudsql, whatever the server's cache of passwords holds.

Users of MySQL 8.4 have `caching_sha2_password`. While its cache is cold (a new user, a new password, a restart) the
server wants the password itself: in clear on a connection that it holds to be secure, else encrypted with its RSA key.
PyMySQL takes every unix socket for secure. The one in /cloudsql ends in Google's proxy, and the server, behind that,
refuses a password in clear: https://github.com/GoogleCloudPlatform/cloud-sql-proxy/issues/2317
"""

from typing import Any

from pymysql import _auth  # pyright: ignore[reportMissingModuleSource]

_DRIVER: Any = _auth  # has no types


def install() -> None:
    """Makes PyMySQL ask for the server's key on unix sockets, too."""
    authenticate = _DRIVER.caching_sha2_password_auth

    def with_the_servers_key(connection: Any, packet: Any) -> Any:  # noqa: ANN401 - PyMySQL's own, without types
        if connection.unix_socket:
            connection._secure = False  # noqa: SLF001 - PyMySQL has no option for it
        return authenticate(connection, packet)

    _DRIVER.caching_sha2_password_auth = with_the_servers_key
