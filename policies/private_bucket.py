"""No object of a bucket can be opened to the public."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy


@policy(
    check_id="CKV_MLFLOW_5",
    name="A bucket refuses public access and has no access lists on single objects",
    resources=["google_storage_bucket"],
    guide="https://cloud.google.com/storage/docs/public-access-prevention",
)
def private_bucket(bucket: Block) -> Iterator[str]:
    """Artifacts are models and data: one mistaken grant must not be able to publish them.

    Without uniform access an object's own list would grant what no plan shows:
    https://cloud.google.com/storage/docs/uniform-bucket-level-access.
    """
    if bucket.value("public_access_prevention") not in ("enforced", UNKNOWN):
        yield 'set public_access_prevention = "enforced" (inherited is up to the organization)'
    if bucket.value("uniform_bucket_level_access") not in (True, UNKNOWN):
        yield "set uniform_bucket_level_access = true"
