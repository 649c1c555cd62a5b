"""The right to connect to databases is bound to one instance."""

from collections.abc import Iterator

from _policy import Block, policy


@policy(
    check_id="CKV_MLFLOW_10",
    name="roles/cloudsql.client is granted with a condition",
    resources=["google_project_iam_member"],
    guide="https://cloud.google.com/sql/docs/postgres/iam-conditions",
)
def conditional_database_access(grant: Block) -> Iterator[str]:
    """The role can only be granted on the whole project: without a condition it opens every instance in it."""
    if grant.value("role") == "roles/cloudsql.client" and not grant.blocks("condition"):
        yield "add a condition on resource.name that names the instance"
