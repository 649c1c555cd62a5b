"""The database takes encrypted connections only."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy

ENCRYPTED = ("ENCRYPTED_ONLY", "TRUSTED_CLIENT_CERTIFICATE_REQUIRED")


@policy(
    check_id="CKV_MLFLOW_15",
    name="Cloud SQL takes encrypted connections only",
    resources=["google_sql_database_instance"],
    guide="https://cloud.google.com/sql/docs/postgres/configure-ssl-instance",
)
def sql_encrypted_connections(instance: Block) -> Iterator[str]:
    """The default mode takes unencrypted ones too; Cloud Run's own connector always encrypts, so nothing is lost."""
    if instance.value("settings.ip_configuration.ssl_mode") not in (*ENCRYPTED, UNKNOWN):
        yield 'set settings.ip_configuration.ssl_mode = "ENCRYPTED_ONLY"'
