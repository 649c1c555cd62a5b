"""The database's edition is chosen, not inherited."""

from collections.abc import Iterator

from _policy import Block, policy


@policy(
    check_id="CKV_MLFLOW_17",
    name="Cloud SQL names its edition",
    resources=["google_sql_database_instance"],
    guide="https://cloud.google.com/sql/docs/postgres/editions-intro",
)
def sql_edition(instance: Block) -> Iterator[str]:
    """The default depends on the version: from PostgreSQL 16 it is ENTERPRISE_PLUS, which refuses small tiers."""
    if instance.value("settings.edition") is None:
        yield 'set settings.edition, such as "ENTERPRISE"'
