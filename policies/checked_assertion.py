"""A service behind Identity-Aware Proxy has no other way in, and checks what the proxy asserts."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy

VARIABLE = "IAP_AUDIENCE"


@policy(
    check_id="CKV_MLFLOW_31",
    name="Identity-Aware Proxy is the only way in, and its assertion is checked for this service",
    resources=["google_cloud_run_v2_service"],
    guide="https://cloud.google.com/iap/docs/signed-headers-howto",
)
def checked_assertion(service: Block) -> Iterator[str]:
    """The two belong together: who trusts the proxy must be behind it, and who is behind it must trust nobody else."""
    guarded = service.value("iap_enabled")
    variables = {variable.value("name"): variable for variable in service.blocks("template.containers.env")}
    checks = VARIABLE in variables
    if guarded is True and service.value("invoker_iam_disabled") is True:
        yield "set invoker_iam_disabled = false: the proxy alone may call the service"
    if guarded is True and not checks:
        yield f"set {VARIABLE} in the container, which otherwise believes whoever calls it"
    if checks and guarded not in (True, UNKNOWN):
        yield f"set iap_enabled = true, or leave {VARIABLE} out: without the proxy nobody gets in"
    if checks and (name := service.value("name")) is not UNKNOWN:
        audience = variables[VARIABLE].value("value")
        if isinstance(audience, str) and not audience.endswith(f"/services/{name}"):
            yield f"{VARIABLE} names another service than {name}: {audience}"
