"""Random secrets are ephemeral."""

from collections.abc import Iterator

from _policy import Block, policy


@policy(
    check_id="CKV_MLFLOW_14",
    name="Random secrets and keys are ephemeral, not resources",
    resources=["random_bytes", "random_password", "random_string", "tls_private_key"],
    guide="https://developer.hashicorp.com/terraform/language/block/ephemeral",
)
def ephemeral_randomness(resource: Block) -> Iterator[str]:
    """The resource of that name keeps its result in the state, in plain text."""
    yield f"declare it under `ephemeral` instead of `resource` ({resource.kind})"
