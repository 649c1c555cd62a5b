"""The tracking server: wires the constructs; shared by every root that deploys it."""

from constructs import Construct

from stacks import mlflow
from stacks.constructs.artifacts import Artifacts, ArtifactsConfig
from stacks.constructs.database import Database, DatabaseConfig
from stacks.constructs.identity import Identity, IdentityConfig
from stacks.constructs.secrets import Secret, SecretConfig
from stacks.constructs.service import Service, ServiceConfig
from stacks.constructs.sign_in import SignIn, SignInConfig
from stacks.inputs import Inputs
from stacks.names import CloudNames, service_host


class TrackingServer(Construct):
    """MLflow on Cloud Run behind Google sign-in.

    Attributes:
        url: The URL that Cloud Run gives the service, known at plan time.
        base_url: Where people open it: the public URL if there is one, else `url`.
        redirect_uri: What to register with the OAuth client.
    """

    def __init__(self, scope: Construct, id_: str, *, inputs: Inputs) -> None:
        super().__init__(scope, id_)
        cloud_names = CloudNames.of(inputs.name)
        self.url = f"https://{service_host(cloud_names.service, inputs.project_number, inputs.region)}"

        self.identity = Identity(self, "identity", config=IdentityConfig(account_id=cloud_names.service_account))
        self.database = Database(
            self,
            "database",
            config=DatabaseConfig(
                inputs=inputs.database,
                instance_name=cloud_names.instance,
                project_id=inputs.project_id,
                region=inputs.region,
                labels=inputs.labels,
            ),
        )
        self.artifacts = Artifacts(
            self,
            "artifacts",
            config=ArtifactsConfig(
                inputs=inputs.bucket,
                region=inputs.region,
                writers=inputs.access.artifact_writers,
                labels=inputs.labels,
            ),
        )
        self.sign_in = SignIn(
            self,
            "sign-in",
            config=SignInConfig(inputs=inputs.access, service_url=self.url, public_url=inputs.service.public_url),
        )
        self.base_url = self.sign_in.base_url
        self.redirect_uri = self.sign_in.redirect_uri

        backend_store_uri = Secret(
            self,
            "backend-store-uri",
            config=SecretConfig(
                secret_id=cloud_names.backend_store_uri_secret,
                logical_id="backend_store_uri",
                region=inputs.region,
                value=self.database.connection_string,
                value_version=inputs.database.rotation,
                after=self.database.ready,
                labels=inputs.labels,
            ),
        )
        proxy_file = Secret(
            self,
            "oauth2-proxy",
            config=SecretConfig(
                secret_id=cloud_names.oauth2_proxy_secret,
                logical_id="oauth2_proxy",
                region=inputs.region,
                value=self.sign_in.secret_file,
                value_version=inputs.access.sign_in_rotation,
                after=[],
                labels=inputs.labels,
            ),
        )
        self.secrets = (backend_store_uri, proxy_file)

        member = self.identity.member
        grants = [
            self.database.grant_client(member),
            self.artifacts.grant_viewer(member),
            *(secret.grant_accessor(member) for secret in self.secrets),
        ]
        self.service = Service(
            self,
            "service",
            config=ServiceConfig(
                inputs=inputs.service,
                name=cloud_names.service,
                region=inputs.region,
                service_account=self.identity.email,
                invoker_iam_disabled=inputs.access.invoker_iam_disabled,
                environment={
                    **mlflow.ENVIRONMENT,
                    **self.sign_in.environment,
                    "DEFAULT_ARTIFACT_ROOT": self.artifacts.root,
                },
                backend_store_uri=backend_store_uri,
                proxy_file=proxy_file,
                connection_name=self.database.connection_name,
                ready=[*self.database.ready, *grants],
                labels=inputs.labels,
            ),
        )
