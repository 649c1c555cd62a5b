"""How a database server is reached by its private address: under TLS, by what is in its network.

The server has a socket for that, `network`, beside the one that Cloud Run mounts. A helper beside each container of the
network has the address, and passes on what comes there. Left out: making client certificates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from containers.container import ContainerSpec
from localcloud.terraform.model import Object, at, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcloud.machine.dialects import Dialect
    from localcloud.services.sql_certificates import Identity

_SOCKET: Final = "network"
_MEMORY_MIB: Final = 64


def way(image: str, dialect: Dialect, sockets: str, address: str) -> ContainerSpec:
    """Returns the helper that a container needs.

    Args:
        image: The server's.
        dialect: The server's.
        sockets: The volume with its sockets.
        address: Its private address.
    """
    here = f"TCP-LISTEN:{dialect.port},bind={address},fork,reuseaddr"
    there = f"UNIX-CONNECT:{dialect.sockets}/{_SOCKET}"
    return ContainerSpec(
        image=image,
        entrypoint="sh",
        command=["-c", f"ip address add {address}/32 dev lo && exec socat {here} {there}"],
        mounts={sockets: dialect.sockets},
        memory_mib=_MEMORY_MIB,
        read_only=True,
        user="0",
        capabilities=["NET_ADMIN"],
    )


def variables(instance: Object, identity: Callable[[Object], Identity]) -> dict[str, str]:
    """Returns the variables of a server that is in a network: who it is, and whom it lets in."""
    settings = at(instance, "settings", 0, "ip_configuration", 0)
    if not text(settings, "private_network"):
        return {}
    found = identity(instance)
    return {
        "SERVER_CA": found.authority,
        "SERVER_CERTIFICATE": found.certificate,
        "SERVER_KEY": found.key,
        "SSL_MODE": text(settings, "ssl_mode"),
    }
