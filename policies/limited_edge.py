"""A load balancer limits the requests of each address."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy

LIMITS = ("throttle", "rate_based_ban")


@policy(
    check_id="CKV_MLFLOW_25",
    name="A load balancer's backend has a security policy, and that limits how much one address may send",
    resources=["google_compute_backend_service", "google_compute_security_policy"],
    guide="https://cloud.google.com/armor/docs/rate-limiting-overview",
)
def limited_edge(resource: Block) -> Iterator[str]:
    """The sign-in is behind it: without a limit anybody's requests cost instances, and keep others out."""
    if resource.kind == "google_compute_backend_service":
        if resource.value("security_policy") is None:
            yield "set security_policy to a google_compute_security_policy"
        return
    actions = [rule.value("action") for rule in resource.blocks("rule")]
    if not any(action in (*LIMITS, UNKNOWN) for action in actions):
        yield f"add a rule of action {' or '.join(LIMITS)}"
