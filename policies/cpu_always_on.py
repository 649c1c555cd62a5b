"""Cloud Run keeps its CPU between requests."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy


@policy(
    check_id="CKV_MLFLOW_1",
    name="Cloud Run keeps its CPU between requests",
    resources=["google_cloud_run_v2_service"],
    guide="https://cloud.google.com/run/docs/configuring/billing-settings",
)
def cpu_always_on(service: Block) -> Iterator[str]:
    """MLflow is a background process of the proxy: on CPU that comes with requests only, it is throttled between them.

    Unset is refused too, because what it means depends on whether the `resources` block is there.
    """
    for container in service.blocks("template.containers"):
        if container.value("resources.cpu_idle") not in (False, UNKNOWN):
            yield "set template.containers.resources.cpu_idle = false"
