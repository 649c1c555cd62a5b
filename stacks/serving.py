"""What runs: the service, its database, sign-in, secrets and grants, on a foundation that was made or exists."""

from cdktf import Token
from constructs import Construct

from stacks import mlflow
from stacks.constructs.artifacts import ArtifactAccess
from stacks.constructs.database import Database, DatabaseConfig
from stacks.constructs.expressions import local, string
from stacks.constructs.guard import Origin
from stacks.constructs.secrets import Secret, SecretConfig
from stacks.constructs.service import Service, ServiceConfig
from stacks.constructs.sign_in import SignIn, SignInConfig
from stacks.inputs import FoundationInputs, ServingInputs
from stacks.names import service_host


class Serving(Construct):
    """MLflow on Cloud Run behind Google sign-in.

    Attributes:
        url: The URL that Cloud Run gives the service, known at plan time.
        base_url: Where people open it: the public URL if there is one, else `url`.
        redirect_uri: What to register with the OAuth client.
        service: The Cloud Run service.
        secrets: The database's connection string, and what is secret in oauth2-proxy's configuration.
    """

    def __init__(self, scope: Construct, id_: str, *, foundation: FoundationInputs, inputs: ServingInputs) -> None:
        super().__init__(scope, id_)
        placement = inputs.placement
        self.url = f"https://{service_host(placement.names.service, placement.project_number, placement.region)}"

        database = Database(
            self,
            "database",
            config=DatabaseConfig(instance=foundation.instance, rotation=inputs.database_rotation),
        )
        artifacts = ArtifactAccess(
            self, "artifacts", bucket_name=foundation.bucket_name, writers=inputs.access.artifact_writers
        )
        sign_in = SignIn(
            self,
            "sign-in",
            config=SignInConfig(
                inputs=inputs.access,
                oauth_client_secret=inputs.oauth_client_secret,
                service_url=self.url,
                public_url=inputs.service.public_url,
            ),
        )
        self.base_url = sign_in.base_url
        self.redirect_uri = sign_in.redirect_uri

        backend_store_uri = Secret(
            self,
            "backend-store-uri",
            config=SecretConfig(
                secret_id=placement.names.backend_store_uri_secret,
                logical_id="backend_store_uri",
                placement=placement,
                value=database.connection_string,
                value_version=inputs.database_rotation,
                after=database.ready,
            ),
        )
        proxy_file = Secret(
            self,
            "oauth2-proxy",
            config=SecretConfig(
                secret_id=placement.names.oauth2_proxy_secret,
                logical_id="oauth2_proxy",
                placement=placement,
                value=sign_in.secret_file,
                value_version=inputs.access.sign_in_rotation,
                after=[],
            ),
        )
        self.secrets = {"backend_store_uri": backend_store_uri, "oauth2_proxy": proxy_file}

        member = foundation.service_account_member
        grants = [
            database.grant_client(member),
            artifacts.grant_viewer(member),
            *(secret.grant_accessor(member) for secret in self.secrets.values()),
        ]
        origin = Origin(
            self, "origin", region=local(self, "region", placement.region), engine=foundation.instance.engine
        )
        self.service = Service(
            self,
            "service",
            config=ServiceConfig(
                inputs=inputs.service,
                placement=placement,
                service_account=foundation.service_account,
                invoker_iam_disabled=inputs.access.invoker_iam_disabled,
                environment={
                    **mlflow.ENVIRONMENT,
                    **sign_in.environment,
                    "ARTIFACT_ROOTS": string(
                        f'join(",", {local(self, "artifact_roots", inputs.service.artifact_roots)})'
                    ),
                    "DEFAULT_ARTIFACT_ROOT": artifacts.root,
                    # The image names traces by it: https://cloud.google.com/run/docs/logging#correlate-logs
                    "GOOGLE_CLOUD_PROJECT": placement.project_id,
                    "REQUEST_TIMEOUT_SECONDS": Token.as_string(inputs.service.timeout_seconds),
                },
                backend_store_uri=backend_store_uri,
                proxy_file=proxy_file,
                connection_name=foundation.instance.connection_name,
                ready=[*database.ready, *grants],
                stays=origin.stays,
            ),
        )
