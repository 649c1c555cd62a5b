"""No service account gets a key."""

from collections.abc import Iterator

from _policy import Block, policy


@policy(
    check_id="CKV_MLFLOW_12",
    name="No long-lived key of a service account",
    resources=["google_service_account_key", "google_storage_hmac_key"],
    guide="https://cloud.google.com/iam/docs/best-practices-for-managing-service-account-keys",
)
def service_account_keys(resource: Block) -> Iterator[str]:
    """A key is a password that does not expire, and its value would stand in the state; Cloud Run needs none."""
    yield f"remove the {resource.kind}: attach the service account, or impersonate it"
