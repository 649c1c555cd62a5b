"""The service runs as an account of its own."""

from collections.abc import Iterator

from _policy import Block, policy

DEFAULT_ACCOUNTS = ("-compute@developer.gserviceaccount.com", "@appspot.gserviceaccount.com")


@policy(
    check_id="CKV_MLFLOW_20",
    name="Cloud Run runs as a dedicated service account",
    resources=["google_cloud_run_v2_service"],
    guide="https://cloud.google.com/run/docs/securing/service-identity",
)
def dedicated_service_account(service: Block) -> Iterator[str]:
    """Unset means the Compute Engine default account: all of the project shares it, and often it is an editor."""
    account = service.value("template.service_account")
    if account is None or (isinstance(account, str) and account.endswith(DEFAULT_ACCOUNTS)):
        yield f"set template.service_account to the stack's own account (found: {account or 'nothing'})"
