"""The service runs in the second-generation environment."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy

SECOND_GENERATION = "EXECUTION_ENVIRONMENT_GEN2"


@policy(
    check_id="CKV_MLFLOW_21",
    name="Cloud Run uses the second-generation execution environment",
    resources=["google_cloud_run_v2_service"],
    guide="https://cloud.google.com/run/docs/about-execution-environments",
)
def second_generation(service: Block) -> Iterator[str]:
    """It is a full Linux, as the image was tested on, with faster CPU and network; unset lets Cloud Run choose."""
    if service.value("template.execution_environment") not in (SECOND_GENERATION, UNKNOWN):
        yield f'set template.execution_environment = "{SECOND_GENERATION}"'
