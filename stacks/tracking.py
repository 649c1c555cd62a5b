"""The tracking server: what the service stands on, and the service on it; shared by every root that deploys it."""

from constructs import Construct

from stacks import names
from stacks.constructs.artifacts import Artifacts, ArtifactsConfig
from stacks.constructs.expressions import local
from stacks.constructs.guard import DestroyGuard
from stacks.constructs.identity import Identity, IdentityConfig
from stacks.constructs.instance import Instance, InstanceConfig
from stacks.inputs import FoundationInputs, Inputs, InstanceInputs, ServingInputs
from stacks.resources import addresses_in
from stacks.serving import Serving


class TrackingServer(Construct):
    """MLflow on Cloud Run behind Google sign-in, with an account, an instance and a bucket of its own."""

    def __init__(self, scope: Construct, id_: str, *, inputs: Inputs) -> None:
        super().__init__(scope, id_)
        placement = inputs.placement
        identity = Identity(
            self,
            "identity",
            config=IdentityConfig(
                placement=placement,
                account_id=placement.names.service_account,
                display_name="MLflow tracking server",
                description="Runs the MLflow tracking server on Cloud Run; used by nothing else.",
            ),
        )
        instance = Instance(
            self,
            "instance",
            config=InstanceConfig(inputs=inputs.database, placement=placement, name=placement.names.instance),
        )
        artifacts = Artifacts(self, "artifacts", config=ArtifactsConfig(inputs=inputs.bucket, placement=placement))
        self.foundation = FoundationInputs(
            account=identity.account,
            bucket_name=artifacts.bucket_name,
            instance=InstanceInputs(
                name=instance.name,
                resource=f"projects/{placement.project_id}/instances/{placement.names.instance}",
                project_id=placement.project_id,
                connection_name=instance.connection_name,
                engine=instance.engine,
                database=names.DATABASE,
                user=names.DATABASE_USER,
            ),
        )
        self.serving = Serving(
            self,
            "serving",
            foundation=self.foundation,
            inputs=ServingInputs(
                placement=placement,
                database_rotation=inputs.database.rotation,
                service=inputs.service,
                access=inputs.access,
                oauth_client_secret=inputs.oauth_client_secret,
            ),
        )
        prefix = placement.prefix
        protection = local(self, f"{prefix}database_deletion_protection", inputs.database.deletion_protection)
        discard = local(self, f"{prefix}bucket_force_destroy", inputs.bucket.force_destroy)
        DestroyGuard(
            self,
            "guard",
            prefix=prefix,
            is_protected=f"{protection} || !{discard}",
            protects=addresses_in(self),
        )
