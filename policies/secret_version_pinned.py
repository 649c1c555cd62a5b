"""A revision names the secret version that it uses."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy


@policy(
    check_id="CKV_MLFLOW_4",
    name="Cloud Run takes each secret by its version's number",
    resources=["google_cloud_run_v2_service"],
    guide="https://cloud.google.com/run/docs/configuring/services/secrets",
)
def secret_version_pinned(service: Block) -> Iterator[str]:
    """With `latest` a rotation makes no revision: instances of one revision differ, and no plan shows it."""
    for path in ("template.containers.env.value_source.secret_key_ref", "template.volumes.secret.items"):
        for reference in service.blocks(path):
            version = reference.value("version")
            if version is not UNKNOWN and not str(version).isdecimal():
                yield f"{path}.version: refer to the secret version's number (found: {version or 'nothing'})"
    for secret in service.blocks("template.volumes.secret"):
        if not secret.blocks("items"):
            yield "template.volumes.secret: add items with a path and a version (without them the latest is mounted)"
