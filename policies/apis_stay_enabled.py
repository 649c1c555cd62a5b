"""Destroying the stack leaves the project's APIs on."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy


@policy(
    check_id="CKV_MLFLOW_19",
    name="Destroying the stack disables no API of the project",
    resources=["google_project_service"],
    guide="https://github.com/hashicorp/terraform-provider-google/blob/v6.50.0/website/docs/r/google_project_service.html.markdown",
)
def apis_stay_enabled(service: Block) -> Iterator[str]:
    """Version 6 of the provider disables them by default, under whatever else runs in the project."""
    if service.value("disable_on_destroy") not in (False, UNKNOWN):
        yield "set disable_on_destroy = false"
