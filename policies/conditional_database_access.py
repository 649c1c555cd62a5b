"""The right to connect to databases is bound to one instance."""

from collections.abc import Iterator

from _policy import Block, policy

ROLES = {"roles/cloudsql.client", "roles/cloudsql.instanceUser"}


@policy(
    check_id="CKV_MLFLOW_10",
    name="Roles to connect and log in to databases are granted with a condition",
    resources=["google_project_iam_member"],
    guide="https://cloud.google.com/sql/docs/postgres/iam-conditions",
)
def conditional_database_access(grant: Block) -> Iterator[str]:
    """The roles can only be granted on the whole project: without a condition they open every instance in it."""
    if grant.value("role") in ROLES and not grant.blocks("condition"):
        yield "add a condition on resource.name that names the instance"
