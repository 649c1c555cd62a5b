"""Reaches a database that has an address in a VPC network, before anything else is done with it.

An instance of Cloud Run is started before its way into the network is open, which may take a minute or more:
https://docs.cloud.google.com/run/docs/configuring/vpc-direct-vpc. A database behind a socket has none of this.
"""

import socket
import time

import sqlalchemy
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from mlflow_cloudrun import tls

PATIENCE_S = 120  # half of the time that a start has; the rest of it takes its own
_ATTEMPT_S = 5
_PAUSE_S = 0.5
# What libpq and Python put before OpenSSL's words. Those differ: an authority that has only taken the right one's name
# fails by its signature.
_FOREIGN = ("ssl error: ", "[ssl: ")
_IN_CLEAR = ("does not support ssl", "ssl is required")  # libpq's and PyMySQL's


class UnreachableError(Exception):
    """Nothing listens at the address, or no packet gets there."""


class UntrustedError(Exception):
    """What listens there does not prove that it is the database."""


def reach(uri: str, *, patience_s: float = PATIENCE_S) -> None:
    """Waits until the database can be reached, and makes sure that it is the right one; a socket is left alone.

    Raises:
        UnreachableError: It cannot be reached in time.
        UntrustedError: Its certificate is another authority's, or it has none. No password was sent.
    """
    url = sqlalchemy.make_url(uri)
    if not url.host:
        return
    _wait(url, time.monotonic() + patience_s)
    try:
        sqlalchemy.create_engine(uri, poolclass=NullPool).connect().close()
    except DBAPIError as error:
        said = str(error.orig).lower()
        if any(words in said for words in _FOREIGN):
            raise UntrustedError(
                f"The certificate of the database at {url.host} was not issued by {tls.VARIABLE}, and no password was "
                "sent. Apply the Terraform again if the instance has another server CA; else somebody answers in its "
                "place."
            ) from error
        if any(words in said for words in _IN_CLEAR):
            raise UntrustedError(
                f"The database at {url.host} speaks no TLS, and no password was sent. "
                "Give the instance ssl_mode ENCRYPTED_ONLY; else somebody answers in its place."
            ) from error
        # Anything else is for whoever connects next: they wait for a server that restarts, and tell the rest.


def _wait(url: URL, end: float) -> None:
    while True:
        try:
            socket.create_connection((str(url.host), url.port or 0), timeout=_ATTEMPT_S).close()
        except OSError as error:
            if time.monotonic() > end:
                raise UnreachableError(
                    f"The database does not answer at {url.host}:{url.port} ({error}). Service and jobs reach it from "
                    "their subnet: look at the network, at its connection to servicenetworking.googleapis.com, and at "
                    "firewall rules that refuse egress."
                ) from error
            time.sleep(_PAUSE_S)
        else:
            return
