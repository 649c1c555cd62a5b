"""The tracking server: what the service stands on, and the service on it; shared by every root that deploys it."""

from constructs import Construct

from stacks import addresses, names
from stacks.constructs.artifacts import Artifacts, ArtifactsConfig
from stacks.constructs.expressions import local, string
from stacks.constructs.guard import DestroyGuard
from stacks.constructs.identity import Identity, IdentityConfig
from stacks.constructs.instance import Instance, InstanceConfig
from stacks.inputs import FoundationInputs, Inputs, InstanceInputs
from stacks.resources import addresses_in
from stacks.serving import Serving


class TrackingServer(Construct):
    """MLflow on Cloud Run behind Google sign-in, with an account, an instance and a bucket of its own."""

    def __init__(self, scope: Construct, id_: str, *, inputs: Inputs) -> None:
        super().__init__(scope, id_)
        placement, settings = inputs.placement, inputs.settings
        identity = Identity(
            self,
            "identity",
            config=IdentityConfig(
                address=addresses.ACCOUNT,
                placement=placement,
                account_id=placement.names.service_account,
                display_name="MLflow tracking server",
                description="Runs the MLflow tracking server on Cloud Run; used by nothing else.",
            ),
        )
        instance = Instance(
            self,
            "instance",
            config=InstanceConfig(inputs=settings.database, placement=placement, name=placement.names.instance),
        )
        artifacts = Artifacts(self, "artifacts", config=ArtifactsConfig(inputs=settings.bucket, placement=placement))
        self.foundation = FoundationInputs(
            account=identity.account,
            bucket_name=artifacts.bucket_name,
            instance=self._that_serves(instance, inputs),
        )
        self.serving = Serving(self, "serving", foundation=self.foundation, inputs=inputs)
        prefix = placement.prefix
        protection = local(self, f"{prefix}database_deletion_protection", settings.database.deletion_protection)
        discard = local(self, f"{prefix}bucket_force_destroy", settings.bucket.force_destroy)
        DestroyGuard(
            self,
            "guard",
            prefix=prefix,
            is_protected=f"{protection} || !{discard}",
            protects=addresses_in(self),
        )

    def _that_serves(self, own: Instance, inputs: Inputs) -> InstanceInputs:
        """The deployment's own instance, or the one that the settings name in its place."""
        placement = inputs.placement
        prefix, project = placement.prefix, placement.project_id
        own_name = local(self, f"{prefix}own_instance", placement.names.instance)
        other = own.serving
        known = string(local(self, f"{prefix}instance", string(f"coalesce({other}, {own_name})")))
        connection = f"{own.address}.connection_name"
        return InstanceInputs(
            name=string(f'{other} == "" ? {own.address}.name : {other}'),
            own=own.name,
            turn=f'{other} == "" ? 0 : parseint(substr(sha256({other}), 0, 8), 16)',
            resource=f"projects/{project}/instances/{known}",
            id=f"{project}:{known}",
            project_id=project,
            connection_name=string(f'{other} == "" ? {connection} : replace({connection}, "/[^:]+$/", {other})'),
            engine=own.engine,
            address=f"{own.address}.private_ip_address",
            # It is public, and Terraform takes all that stands beside it for a secret.
            authority=f"nonsensitive({own.address}.server_ca_cert[0].cert)",
            database=names.DATABASE,
            user=names.DATABASE_USER,
        )
