"""Services and jobs run in the second-generation environment."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy, template_of

SECOND_GENERATION = "EXECUTION_ENVIRONMENT_GEN2"


@policy(
    check_id="CKV_MLFLOW_21",
    name="Cloud Run uses the second-generation execution environment",
    resources=["google_cloud_run_v2_service", "google_cloud_run_v2_job"],
    guide="https://cloud.google.com/run/docs/about-execution-environments",
)
def second_generation(workload: Block) -> Iterator[str]:
    """It is a full Linux, as the image was tested on, with faster CPU and network; unset lets Cloud Run choose."""
    path = f"{template_of(workload)}.execution_environment"
    if workload.value(path) not in (SECOND_GENERATION, UNKNOWN):
        yield f'set {path} = "{SECOND_GENERATION}"'
