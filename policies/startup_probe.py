"""A revision gets requests only when it can answer them."""

from collections.abc import Iterator

from _policy import Block, policy

LONGEST_STARTUP_SECONDS = 240


@policy(
    check_id="CKV_MLFLOW_22",
    name="Cloud Run asks the service by HTTP whether it has started",
    resources=["google_cloud_run_v2_service"],
    guide="https://cloud.google.com/run/docs/configuring/healthchecks",
)
def startup_probe(service: Block) -> Iterator[str]:
    """The default probe is an open port, which says nothing of the server behind it.

    Google refuses a probe that may take longer than 240 seconds: failure_threshold times period_seconds.
    """
    probes = service.blocks("template.containers.startup_probe")
    if not any(probe.blocks("http_get") for probe in probes):
        yield "add template.containers.startup_probe with http_get"
    for probe in probes:
        threshold, period = probe.value("failure_threshold"), probe.value("period_seconds")
        if isinstance(threshold, int) and isinstance(period, int) and threshold * period > LONGEST_STARTUP_SECONDS:
            yield f"startup_probe: failure_threshold x period_seconds must not exceed {LONGEST_STARTUP_SECONDS}"
