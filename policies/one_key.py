"""Everything of a document that holds data is under one key."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, Value, at_its_place, policy

REPLICA_KEY = "customer_managed_encryption.kms_key_name"

# Where each type names its key; secrets have one for each replica.
KEY_OF = {
    "google_cloud_run_v2_job": "template.template.encryption_key",
    "google_cloud_run_v2_service": "template.encryption_key",
    "google_sql_database_instance": "encryption_key_name",
    "google_storage_bucket": "encryption.default_kms_key_name",
}

# document -> the first key seen in it, as in one_region.py; None for Google's.
_first_key: dict[str, Value] = {}


@policy(
    check_id="CKV_MLFLOW_24",
    name="Database, bucket, secrets, service and jobs are under one key, yours or Google's",
    resources=[*KEY_OF, "google_secret_manager_secret"],
    guide="https://cloud.google.com/kms/docs/cmek",
)
def one_key(resource: Block) -> Iterator[str]:
    """A key that is withdrawn must take all data with it: what was left under Google's stays readable.

    Only literals are compared: two expressions may yield the same key, and the plan tells.
    """
    for key in at_its_place(resource, KEY_OF, of_replica=REPLICA_KEY):
        if key is not UNKNOWN:
            first = _first_key.setdefault(resource.document, key)
            if key != first:
                yield f"name {first or 'no key'}, as the rest of the document does (found: {key or 'none'})"
