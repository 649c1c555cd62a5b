"""Requests reach the sign-in proxy, never MLflow itself."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy

PROXY_PORT = 4180


@policy(
    check_id="CKV_MLFLOW_2",
    name="Cloud Run sends requests to the sign-in proxy's port and to no other",
    resources=["google_cloud_run_v2_service"],
    guide="https://cloud.google.com/run/docs/container-contract#port",
)
def container_port(service: Block) -> Iterator[str]:
    """MLflow listens on 8080, which is Cloud Run's default port: a lost `ports` block would lead around the sign-in."""
    ports = [port.value("container_port") for port in service.blocks("template.containers.ports")]
    wrong = [port for port in ports if port not in (PROXY_PORT, UNKNOWN)]
    if wrong or not ports:
        found = ", ".join(str(port) for port in ports) or "none"
        yield f"set template.containers.ports.container_port = {PROXY_PORT} (found: {found})"
