"""Services and jobs run as accounts of their own."""

from collections.abc import Iterator

from _policy import Block, policy, template_of

DEFAULT_ACCOUNTS = ("-compute@developer.gserviceaccount.com", "@appspot.gserviceaccount.com")


@policy(
    check_id="CKV_MLFLOW_20",
    name="Cloud Run runs as a dedicated service account",
    resources=["google_cloud_run_v2_service", "google_cloud_run_v2_job"],
    guide="https://cloud.google.com/run/docs/securing/service-identity",
)
def dedicated_service_account(workload: Block) -> Iterator[str]:
    """Unset means the Compute Engine default account: all of the project shares it, and often it is an editor."""
    path = f"{template_of(workload)}.service_account"
    account = workload.value(path)
    if account is None or (isinstance(account, str) and account.endswith(DEFAULT_ACCOUNTS)):
        yield f"set {path} to the stack's own account (found: {account or 'nothing'})"
