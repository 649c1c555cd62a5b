"""Nobody becomes owner, editor or viewer of anything."""

from collections.abc import Iterator

from _policy import Block, policy

BASIC_ROLES = ("roles/owner", "roles/editor", "roles/viewer")


@policy(
    check_id="CKV_MLFLOW_9",
    name="No basic role is granted",
    resources=["google_*_iam_member"],
    guide="https://cloud.google.com/iam/docs/roles-overview#basic",
)
def basic_roles(grant: Block) -> Iterator[str]:
    """One holds thousands of permissions over every service: the list of granted_roles.py must not take it in."""
    if (role := grant.value("role")) in BASIC_ROLES:
        yield f"replace {role} by the one predefined role that is needed"
