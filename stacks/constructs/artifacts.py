"""Where models and files live: one bucket, private, in the region of all the rest."""

from dataclasses import dataclass

from cdktf_cdktf_provider_google.service_account_iam_member import ServiceAccountIamMember
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

from stacks import addresses
from stacks.constructs.expressions import add_key_block, local, number, string
from stacks.constructs.workload import Workload
from stacks.inputs import Placement, StringMap
from stacks.resources import pin
from stacks.settings.bucket import Bucket

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactsConfig:
    """Inputs of a bucket; strings may be Terraform tokens."""

    inputs: Bucket
    placement: Placement


class Artifacts(Construct):
    """The artifact bucket.

    Attributes:
        bucket_name: The bucket's name.
    """

    def __init__(self, scope: Construct, id_: str, *, config: ArtifactsConfig) -> None:
        super().__init__(scope, id_)
        prefix = config.placement.prefix
        soft_delete_days = local(self, f"{prefix}bucket_soft_delete_days", config.inputs.soft_delete_days)
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
            addresses.BUCKET.of(prefix),
        )
        # Objects that are written from then on: https://cloud.google.com/storage/docs/encryption/customer-managed-keys
        add_key_block(bucket, "encryption", "default_kms_key_name", config.placement)
        self.bucket_name = bucket.name


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactAccessConfig:
    """Inputs of the access to a bucket, which may be made elsewhere.

    Attributes:
        writers: Members that write to the bucket, by any key.
        roots: Further places, gs://BUCKET or gs://BUCKET/FOLDER.
    """

    placement: Placement
    bucket_name: str
    writers: StringMap
    roots: list[str]


class ArtifactAccess(Construct):
    """The access to the artifacts in a bucket that this construct does not make.

    Clients write to the bucket themselves: through the server a file would pass its memory and the 32 MiB limit of
    https://cloud.google.com/run/quotas.
    """

    def __init__(self, scope: Construct, id_: str, *, config: ArtifactAccessConfig) -> None:
        super().__init__(scope, id_)
        self._bucket_name, self._prefix = config.bucket_name, config.placement.prefix
        self._project_id = config.placement.project_id
        self._roots = local(self, f"{self._prefix}artifact_roots", config.roots)
        clients = pin(
            StorageBucketIamMember(
                self,
                "clients",
                bucket=config.bucket_name,
                # Why: clients upload artifacts to the bucket, and MLflow's own clients also delete and overwrite.
                role="roles/storage.objectUser",
                member=string("each.value"),
            ),
            addresses.ARTIFACT_WRITERS.of(config.placement.prefix),
        )
        # By the keys of the map: a member may be a secret, or known only after the apply.
        clients.add_override("for_each", string(local(self, f"{self._prefix}artifact_writers", config.writers)))

    def let_read(self, workload: Workload, *, links: object) -> None:
        """Tells a workload where artifacts are, and lets it read those in this bucket.

        Args:
            workload: The workload.
            links: Whether it also hands out sessions of uploads and signed links.
        """
        self._tell(workload)
        self._let_link(workload, local(self, f"{self._prefix}artifact_links", links))
        # Why: the web page shows artifacts through the server's own read access.
        viewer = self._grant(workload, "server", "roles/storage.objectViewer")
        workload.grant(viewer, addresses.ARTIFACT_VIEWER.of(self._prefix))

    def _let_link(self, workload: Workload, links: str) -> None:
        workload.set({"ARTIFACT_LINKS": string(f"tostring({links})")})
        only_then = f'toset(nonsensitive({links}) ? ["links"] : [])'
        # Why: a session of an upload has the rights of whoever began it, and MLflow's clients also overwrite.
        writer = self._grant(workload, "links", "roles/storage.objectUser")
        workload.grant(writer, addresses.ARTIFACT_LINKS.of(self._prefix), for_each=only_then)
        signer = ServiceAccountIamMember(
            self,
            f"{workload.prefix}signer",
            service_account_id=f"projects/{self._project_id}/serviceAccounts/{workload.account.email}",
            # Why: links are signed as the account, whose key is Google's:
            # https://cloud.google.com/storage/docs/access-control/signing-urls-with-helpers#required-roles
            role="roles/iam.serviceAccountTokenCreator",
            member=workload.account.member,
        )
        workload.grant(signer, addresses.LINK_SIGNER.of(self._prefix), for_each=only_then)

    def let_manage(self, workload: Workload, *, for_each: str) -> None:
        """Tells workloads where artifacts are, and lets some of them write and delete those in this bucket.

        Args:
            workload: The workloads.
            for_each: The expression of those that write.
        """
        self._tell(workload)
        # Why: garbage collection deletes files, and archival writes some.
        manager = self._grant(workload, "manager", "roles/storage.objectUser")
        workload.grant(manager, addresses.ARTIFACT_MANAGER.of(self._prefix), for_each=for_each)

    def _tell(self, workload: Workload) -> None:
        workload.set(
            {
                "ARTIFACT_ROOTS": string(f'join(",", {self._roots})'),
                "DEFAULT_ARTIFACT_ROOT": f"gs://{self._bucket_name}",
            }
        )

    def _grant(self, workload: Workload, id_: str, role: str) -> StorageBucketIamMember:
        return StorageBucketIamMember(
            self, f"{workload.prefix}{id_}", bucket=self._bucket_name, role=role, member=workload.account.member
        )
