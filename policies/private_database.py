"""A database that is in a network is nowhere else."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy


@policy(
    check_id="CKV_MLFLOW_26",
    name="A Cloud SQL instance in a VPC network has no public address",
    resources=["google_sql_database_instance"],
    guide="https://cloud.google.com/sql/docs/postgres/configure-private-ip",
)
def private_database(instance: Block) -> Iterator[str]:
    """In a network, clients need no certificate: with a public address as well, a stolen password is enough.

    Google gives an instance a public address unless it is told not to.
    """
    where = "settings.ip_configuration"
    network, public = (instance.value(f"{where}.{name}") for name in ("private_network", "ipv4_enabled"))
    if network not in (None, "", UNKNOWN) and public not in (False, UNKNOWN):
        yield f"set {where}.ipv4_enabled = false: what is in the network reaches it by its private address"
