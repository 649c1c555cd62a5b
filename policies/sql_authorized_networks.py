"""No network reaches the database directly."""

from collections.abc import Iterator

from _policy import Block, policy


@policy(
    check_id="CKV_MLFLOW_16",
    name="Cloud SQL has no authorized networks",
    resources=["google_sql_database_instance"],
    guide="https://cloud.google.com/sql/docs/postgres/authorize-networks",
)
def sql_authorized_networks(instance: Block) -> Iterator[str]:
    """Without one, a connection needs an IAM grant through Google's connector; from such a network, only a password."""
    for network in instance.blocks("settings.ip_configuration.authorized_networks"):
        yield f"remove authorized_networks ({network.written('value')}): connect through the Cloud SQL connector"
