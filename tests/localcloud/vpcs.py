"""A VPC network that was made before, and by somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.resource import Cloud
from localcloud.services import compute, networks, sql, sql_recovery
from localcloud.store import Store

if TYPE_CHECKING:
    from pathlib import Path

PREFIX_LENGTH = 20


def move(home: Path, instance: str, vpc: str) -> None:
    """Puts a database into a network, as gcloud does.

    Args:
        home: The folder of a local cloud that no process holds.
        instance: `PROJECT:NAME`.
        vpc: The network's id.
    """
    store = Store(home)
    found = store.get(sql.Instance.type, instance)
    assert found
    sql_recovery.move(Cloud(store), found, vpc)
    store.close()


def make_network(home: Path, vpc: str, subnet: str) -> None:
    """Makes a network with a connection to Google's services, and a subnet of it.

    Args:
        home: The folder of a local cloud that no process holds.
        vpc: The network's id.
        subnet: The subnet's.
    """
    store = Store(home)
    store.put(networks.Network.type, vpc, {"id": vpc})
    region = subnet.split("/")[3]
    store.put(networks.Subnetwork.type, subnet, {"id": subnet, "network": vpc, "region": region})
    allocated = {"name": "google", "network": vpc, "purpose": compute.PEERING, "address": "10.27.0.0"}
    store.put(compute.Address.type, f"{vpc}/google", {**allocated, "prefix_length": PREFIX_LENGTH})
    store.put(networks.Connection.type, vpc, {"network": vpc, "reserved_peering_ranges": ["google"]})
    store.close()
