"""Whether a resource may be destroyed is said beside it."""

from collections.abc import Iterator

from _policy import Block, policy


@policy(
    check_id="CKV_MLFLOW_18",
    name="Deletion protection is set explicitly",
    resources=["google_cloud_run_v2_service", "google_sql_database_instance"],
    guide="https://github.com/hashicorp/terraform-provider-google/blob/v6.50.0/website/docs/r/cloud_run_v2_service.html.markdown",
)
def deletion_protection(resource: Block) -> Iterator[str]:
    """The default is true, so a stack without it can be neither destroyed nor replaced, which is found out too late."""
    if resource.value("deletion_protection") is None:
        yield "set deletion_protection to true or false"
