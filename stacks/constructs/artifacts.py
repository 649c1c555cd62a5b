"""Where models and files live: one bucket, private, in the region of all the rest."""

from dataclasses import dataclass

from cdktf import ITerraformDependable, TerraformIterator, Token
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

from stacks.constructs.expressions import local, number
from stacks.inputs import BucketInputs, StringMap
from stacks.names import pin

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactsConfig:
    """What the bucket needs; strings and lists may be Terraform tokens."""

    inputs: BucketInputs
    region: str
    writers: list[str]
    labels: StringMap


class Artifacts(Construct):
    """The artifact bucket and who may write to it.

    Clients write to the bucket themselves: through the server a file would pass its memory and the 32 MiB limit of
    https://cloud.google.com/run/quotas.

    Attributes:
        bucket_name: The bucket's name.
        root: `gs://BUCKET`, MLflow's default artifact root.
    """

    def __init__(self, scope: Construct, id_: str, *, config: ArtifactsConfig) -> None:
        super().__init__(scope, id_)
        soft_delete_days = local(self, "bucket_soft_delete_days", config.inputs.soft_delete_days)
        bucket = pin(
            StorageBucket(
                self,
                "bucket",
                name=config.inputs.name,
                location=config.region,
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
                labels=config.labels,
            ),
            "artifacts",
        )
        self._bucket = bucket
        self.bucket_name = bucket.name
        self.root = f"gs://{bucket.name}"
        writers = TerraformIterator.from_list(config.writers)
        pin(
            StorageBucketIamMember(
                self,
                "clients",
                for_each=writers,
                bucket=bucket.name,
                # Why: clients upload artifacts to the bucket, and MLflow's own clients also delete and overwrite.
                role="roles/storage.objectUser",
                member=Token.as_string(writers.value),
            ),
            "clients_write",
        )

    def grant_viewer(self, member: str) -> ITerraformDependable:
        """Lets a member read the objects of this bucket."""
        return pin(
            StorageBucketIamMember(
                self,
                "server",
                bucket=self._bucket.name,
                # Why: the web page shows artifacts through the server's own read access.
                role="roles/storage.objectViewer",
                member=member,
            ),
            "server_reads",
        )
