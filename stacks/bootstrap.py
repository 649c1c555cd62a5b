"""Once per project: the APIs, the image repository and the state bucket."""

from typing import Final

from cdktf import Fn, TerraformIterator, TerraformOutput, Token
from cdktf_cdktf_provider_google.artifact_registry_repository import (
    ArtifactRegistryRepository,
    ArtifactRegistryRepositoryCleanupPolicies,
    ArtifactRegistryRepositoryCleanupPoliciesCondition,
    ArtifactRegistryRepositoryCleanupPoliciesMostRecentVersions,
    ArtifactRegistryRepositoryDockerConfig,
)
from cdktf_cdktf_provider_google.project_service import ProjectService
from cdktf_cdktf_provider_google.storage_bucket import (
    StorageBucket,
    StorageBucketEncryption,
    StorageBucketLifecycleRule,
    StorageBucketLifecycleRuleAction,
    StorageBucketLifecycleRuleCondition,
    StorageBucketVersioning,
)
from constructs import Construct

from stacks import addresses
from stacks.kinds import KINDS, apis_of
from stacks.names import image_repository
from stacks.resources import pin
from stacks.root import RootStack
from stacks.settings.model import Settings

APIS: Final = sorted(
    {
        *apis_of(KINDS),
        # Called by who impersonates an account for an identity token.
        "iamcredentials.googleapis.com",
        # https://cloud.google.com/sql/docs/postgres/connect-run#configure: by `gcloud run jobs` with an instance.
        "sql-component.googleapis.com",
    }
)
"""What the two stacks call, and people beside them."""

_KEPT_IMAGES: Final = 20
_UNTAGGED_IMAGE_LIFETIME: Final = "2592000s"
_KEPT_STATE_VERSIONS: Final = 50


class BootstrapStack(RootStack):
    """Everything that must exist before the first image is pushed and the first state is written.

    Its own state stays in a file: the bucket for states does not exist before it.
    """

    def __init__(self, scope: Construct, id_: str, *, settings: Settings, environment: str) -> None:
        super().__init__(scope, id_, settings=settings)
        self.keep_state_in_checkout(environment)
        enabled = self._enable_apis()
        self._make_repository(settings, enabled)
        if settings.state.bucket:
            self._make_state_bucket(settings, enabled)

    def _enable_apis(self) -> ProjectService:
        apis = TerraformIterator.from_list(Fn.toset(APIS))
        return pin(
            ProjectService(
                self,
                "apis",
                for_each=apis,
                service=Token.as_string(apis.value),
                # Others in the project may use the API, and disabling it would delete what it serves.
                disable_on_destroy=False,
            ),
            addresses.APIS,
        )

    def _make_repository(self, settings: Settings, enabled: ProjectService) -> None:
        repository = pin(
            ArtifactRegistryRepository(
                self,
                "images",
                repository_id=settings.name,
                location=settings.region,
                format="DOCKER",
                description="Images of the MLflow tracking server.",
                labels=settings.labels,
                # A tag that is pushed stays what it was: https://cloud.google.com/artifact-registry/docs/docker/immutable-tags
                docker_config=ArtifactRegistryRepositoryDockerConfig(immutable_tags=True),
                cleanup_policy_dry_run=False,
                cleanup_policies=[
                    ArtifactRegistryRepositoryCleanupPolicies(
                        id="keep-most-recent",
                        action="KEEP",
                        most_recent_versions=ArtifactRegistryRepositoryCleanupPoliciesMostRecentVersions(
                            keep_count=_KEPT_IMAGES
                        ),
                    ),
                    ArtifactRegistryRepositoryCleanupPolicies(
                        id="delete-old-untagged",
                        action="DELETE",
                        condition=ArtifactRegistryRepositoryCleanupPoliciesCondition(
                            tag_state="UNTAGGED", older_than=_UNTAGGED_IMAGE_LIFETIME
                        ),
                    ),
                ],
                depends_on=[enabled],
            ),
            addresses.IMAGES,
        )
        TerraformOutput(
            self,
            "image_repository",
            value=image_repository(settings.region, settings.project.id, repository.repository_id),
            description="Where `make image-push` puts images.",
        )

    def _make_state_bucket(self, settings: Settings, enabled: ProjectService) -> None:
        key = settings.encryption.kms_key
        bucket = pin(
            StorageBucket(
                self,
                "state",
                name=settings.state.bucket,
                location=settings.region,
                force_destroy=False,
                uniform_bucket_level_access=True,
                public_access_prevention="enforced",
                # An older state is the way back: https://developer.hashicorp.com/terraform/language/backend/gcs
                versioning=StorageBucketVersioning(enabled=True),
                lifecycle_rule=[
                    StorageBucketLifecycleRule(
                        action=StorageBucketLifecycleRuleAction(type="Delete"),
                        condition=StorageBucketLifecycleRuleCondition(
                            num_newer_versions=_KEPT_STATE_VERSIONS, with_state="ARCHIVED"
                        ),
                    )
                ],
                encryption=StorageBucketEncryption(default_kms_key_name=key) if key else None,
                labels=settings.labels,
                depends_on=[enabled],
            ),
            addresses.STATE_BUCKET,
        )
        TerraformOutput(self, "state_bucket", value=bucket.name, description="Where the other states are kept.")
