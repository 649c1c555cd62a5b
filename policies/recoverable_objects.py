"""A deleted object can be brought back."""

from collections.abc import Iterator

from _policy import Block, policy


@policy(
    check_id="CKV_MLFLOW_23",
    name="A bucket keeps deleted objects for a while",
    resources=["google_storage_bucket"],
    guide="https://cloud.google.com/storage/docs/control-data-lifecycles",
)
def recoverable_objects(bucket: Block) -> Iterator[str]:
    """One wrong delete must not lose a model: versioning keeps it, and so does soft delete of more than 0 seconds."""
    versioned = bucket.value("versioning.enabled") not in (False, None)
    retained = bucket.value("soft_delete_policy.retention_duration_seconds") not in (0, None)
    if not versioned and not retained:
        yield "set versioning.enabled = true, or soft_delete_policy.retention_duration_seconds above 0"
