"""A grant adds one member and takes nothing from others."""

from collections.abc import Iterator

from _policy import Block, policy


@policy(
    check_id="CKV_MLFLOW_11",
    name="Grants are single members, never whole bindings or policies",
    resources=["google_*_iam_binding", "google_*_iam_policy", "google_storage_*acl", "google_storage_*access_control"],
    guide="https://github.com/hashicorp/terraform-provider-google/blob/v6.50.0/website/docs/r/google_project_iam.html.markdown",
)
def additive_iam(resource: Block) -> Iterator[str]:
    """A binding removes everybody else from its role, and a policy replaces all roles: both can lock the owners out.

    Access lists of a bucket are a second, older door to the same objects:
    https://cloud.google.com/storage/docs/access-control/lists.
    """
    yield f"use a *_iam_member resource instead of {resource.kind}"
