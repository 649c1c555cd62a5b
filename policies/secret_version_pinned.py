"""A revision names the secret version that it uses."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy, template_of


@policy(
    check_id="CKV_MLFLOW_4",
    name="Cloud Run takes each secret by its version's number",
    resources=["google_cloud_run_v2_service", "google_cloud_run_v2_job"],
    guide="https://cloud.google.com/run/docs/configuring/services/secrets",
)
def secret_version_pinned(workload: Block) -> Iterator[str]:
    """With `latest` a rotation makes no revision: instances of one revision differ, and no plan shows it."""
    template = template_of(workload)
    for path in (f"{template}.containers.env.value_source.secret_key_ref", f"{template}.volumes.secret.items"):
        for reference in workload.blocks(path):
            version = reference.value("version")
            if version is not UNKNOWN and not str(version).isdecimal():
                yield f"{path}.version: refer to the secret version's number (found: {version or 'nothing'})"
    for secret in workload.blocks(f"{template}.volumes.secret"):
        if not secret.blocks("items"):
            yield f"{template}.volumes.secret: add items with a path and a version (without them the latest is mounted)"
