"""Where models and files live: one bucket, private, in the region of all the rest."""

from dataclasses import dataclass

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_google.storage_bucket import (
    StorageBucket,
    StorageBucketLifecycleRule,
    StorageBucketLifecycleRuleAction,
    StorageBucketLifecycleRuleCondition,
    StorageBucketSoftDeletePolicy,
    StorageBucketVersioning,
)
from cdktf_cdktf_provider_google.storage_bucket_iam_member import StorageBucketIamMember
from constructs import Construct

from stacks.constructs.expressions import local, number, string
from stacks.inputs import Placement, StringMap
from stacks.names import pin
from stacks.settings.bucket import Bucket

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactsConfig:
    """What the bucket needs; strings may be Terraform tokens."""

    inputs: Bucket
    placement: Placement


class Artifacts(Construct):
    """The artifact bucket.

    Attributes:
        bucket_name: The bucket's name.
    """

    def __init__(self, scope: Construct, id_: str, *, config: ArtifactsConfig) -> None:
        super().__init__(scope, id_)
        soft_delete_days = local(self, "bucket_soft_delete_days", config.inputs.soft_delete_days)
        bucket = pin(
            StorageBucket(
                self,
                "bucket",
                name=config.inputs.name,
                project=config.placement.project_id,
                location=config.placement.region,
                force_destroy=config.inputs.force_destroy,
                uniform_bucket_level_access=True,
                public_access_prevention="enforced",
                versioning=StorageBucketVersioning(enabled=config.inputs.versioning),
                soft_delete_policy=StorageBucketSoftDeletePolicy(
                    retention_duration_seconds=number(f"{soft_delete_days} * {_SECONDS_PER_DAY}")
                ),
                lifecycle_rule=[
                    StorageBucketLifecycleRule(
                        action=StorageBucketLifecycleRuleAction(type="Delete"),
                        condition=StorageBucketLifecycleRuleCondition(
                            days_since_noncurrent_time=config.inputs.delete_noncurrent_after_days,
                            with_state="ARCHIVED",
                        ),
                    ),
                    StorageBucketLifecycleRule(
                        action=StorageBucketLifecycleRuleAction(type="AbortIncompleteMultipartUpload"),
                        condition=StorageBucketLifecycleRuleCondition(age=7),
                    ),
                ],
                labels=config.placement.labels,
            ),
            "artifacts",
        )
        self.bucket_name = bucket.name


class ArtifactAccess(Construct):
    """Who may use the artifacts in a bucket, which this construct does not make.

    Clients write to the bucket themselves: through the server a file would pass its memory and the 32 MiB limit of
    https://cloud.google.com/run/quotas.

    Attributes:
        root: `gs://BUCKET`, MLflow's default artifact root.
    """

    def __init__(self, scope: Construct, id_: str, *, bucket_name: str, writers: StringMap) -> None:
        super().__init__(scope, id_)
        self._bucket_name = bucket_name
        self.root = f"gs://{bucket_name}"
        clients = pin(
            StorageBucketIamMember(
                self,
                "clients",
                bucket=bucket_name,
                # Why: clients upload artifacts to the bucket, and MLflow's own clients also delete and overwrite.
                role="roles/storage.objectUser",
                member=string("each.value"),
            ),
            "clients_write",
        )
        # By the keys of the map: a member may be a secret, or known only after the apply.
        clients.add_override("for_each", string(local(self, "artifact_writers", writers)))

    def grant_viewer(self, member: str) -> ITerraformDependable:
        """Lets a member read the objects of this bucket."""
        return pin(
            StorageBucketIamMember(
                self,
                "server",
                bucket=self._bucket_name,
                # Why: the web page shows artifacts through the server's own read access.
                role="roles/storage.objectViewer",
                member=member,
            ),
            "server_reads",
        )
