"""Everything of a document is in one region."""

from collections.abc import Iterator

from _policy import Block, at_its_place, policy

# Where each type keeps its region.
REGION_OF = {
    "google_artifact_registry_repository": "location",
    "google_cloud_run_v2_job": "location",
    "google_cloud_run_v2_service": "location",
    "google_cloud_scheduler_job": "region",
    "google_sql_database_instance": "region",
    "google_storage_bucket": "location",
}

# document -> the first region seen in it. checkov shows a rule one resource at a time, and its graph only for plans.
_first_region: dict[str, str] = {}


@policy(
    check_id="CKV_MLFLOW_6",
    name="Database, bucket, secrets, images, service and jobs are in one region",
    resources=[*REGION_OF, "google_secret_manager_secret"],
    guide="https://cloud.google.com/run/docs/locations",
)
def one_region(resource: Block) -> Iterator[str]:
    """A second region costs latency and transfer on every query, and data leaves the place that was chosen for it.

    Only literals are compared: two expressions may yield the same region, and the plan tells.
    """
    if resource.blocks("replication.auto"):
        yield "replicate the secret in the region only: replication.user_managed instead of replication.auto"
    for region in at_its_place(resource, REGION_OF, of_replica="location"):
        if isinstance(region, str):
            # Google writes a bucket's location in capitals: https://cloud.google.com/storage/docs/locations
            first = _first_region.setdefault(resource.document, region.lower())
            if region.lower() != first:
                yield f"move it to {first}, where the rest of the document is (found: {region})"
