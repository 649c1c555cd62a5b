"""Addresses of this machine's loopback: every one of 127.0.0.0/8 is this machine (https://www.rfc-editor.org/rfc/rfc6890).

Programs, pages and containers that look for a server of this machine try 127.0.0.1; podman's containers reach no other
(slirp4netns maps 10.0.2.2 to it alone). What is not for them has an address that nobody can guess.
"""

from __future__ import annotations

import secrets
from ipaddress import IPv4Address, IPv4Network

LOOPBACK = "127.0.0.1"
_UNUSED = IPv4Network("127.64.0.0/10")


def unguessable_address() -> str:
    """Returns one of four million addresses, by chance; with the port it takes a page years to try them all."""
    return str(IPv4Address(int(_UNUSED.network_address) + 1 + secrets.randbelow(_UNUSED.num_addresses - 2)))
