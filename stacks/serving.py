"""The service, its database, sign-in, secrets and grants, on a foundation that was made or exists."""

from cdktf import Token
from constructs import Construct

from stacks import mlflow
from stacks.constructs.artifacts import ArtifactAccess, ArtifactAccessConfig
from stacks.constructs.database import Database, DatabaseConfig
from stacks.constructs.encryption import Encryption
from stacks.constructs.guard import Origin
from stacks.constructs.iap import IapGate
from stacks.constructs.jobs import Jobs, JobsConfig
from stacks.constructs.monitoring import Monitoring, MonitoringConfig
from stacks.constructs.permissions import Permissions
from stacks.constructs.service import Service, ServiceConfig
from stacks.constructs.sign_in import SignIn, SignInConfig
from stacks.constructs.urls import Urls
from stacks.constructs.workload import Workload
from stacks.inputs import FoundationInputs, Inputs
from stacks.names import service_host


class Serving(Construct):
    """MLflow on Cloud Run behind Google sign-in, by oauth2-proxy or Identity-Aware Proxy.

    Attributes:
        url: The URL that Cloud Run gives the service, known at plan time.
        base_url: Where people open it: the public URL if there is one, else `url`.
        redirect_uri: What to register with the OAuth client; empty where there is none.
        service: The Cloud Run service.
        jobs: The names of the jobs by what they do.
        secrets: The secrets by what they hold.
    """

    def __init__(self, scope: Construct, id_: str, *, foundation: FoundationInputs, inputs: Inputs) -> None:
        super().__init__(scope, id_)
        placement, settings = inputs.placement, inputs.settings
        self.url = f"https://{service_host(placement.names.service, placement.project_number, placement.region)}"

        database = Database(
            self,
            "database",
            config=DatabaseConfig(
                instance=foundation.instance,
                placement=placement,
                login=settings.database.login,
                rotation=settings.database.rotation,
                secret_id=placement.names.backend_store_uri_secret,
                server=foundation.account,
            ),
        )
        artifacts = ArtifactAccess(
            self,
            "artifacts",
            config=ArtifactAccessConfig(
                placement=placement,
                bucket_name=foundation.bucket_name,
                writers=settings.access.artifact_writers,
                roots=settings.service.artifact_roots,
            ),
        )
        public_url = settings.service.public_url
        urls = Urls(self, "urls", prefix=placement.prefix, service_url=self.url, public_url=public_url)
        self.base_url = urls.base
        gate = self._gate(inputs, urls)
        self.redirect_uri = gate.redirect_uri if isinstance(gate, SignIn) else ""
        encryption = Encryption(self, "encryption", placement=placement, webhooks=settings.service.webhooks)
        permissions = Permissions(self, "permissions", placement=placement, inputs=settings.permissions)
        self.secrets = {
            "backend_store_uri": database.secret,
            "encryption_key": encryption.secret,
            **({"oauth2_proxy": gate.secret} if isinstance(gate, SignIn) else {}),
        }

        server = Workload(account=foundation.account)
        server.set(mlflow.ENVIRONMENT)
        server.set(
            {
                # The image names traces by it: https://cloud.google.com/run/docs/logging#correlate-logs
                "GOOGLE_CLOUD_PROJECT": placement.project_id,
                "REQUEST_TIMEOUT_SECONDS": Token.as_string(settings.service.timeout_seconds),
            }
        )
        database.connect(server)
        artifacts.let_read(server, links=settings.service.artifact_links)
        gate.guard(server)
        urls.tell(server)
        encryption.give(server)
        permissions.give(server)
        server.set_of_user(settings.service.env)

        jobs = Jobs(
            self,
            "jobs",
            config=JobsConfig(inputs=settings.jobs, placement=placement, image=settings.service.image),
        )
        jobs.workload.set(mlflow.ENVIRONMENT)
        jobs.workload.set({"GOOGLE_CLOUD_PROJECT": placement.project_id})
        database.connect(jobs.workload)
        permissions.give(jobs.workload)
        artifacts.let_manage(jobs.workload, for_each=jobs.writers)
        # So that a job that migrates in the apply (module.py) has done so before the new image serves.
        server.ready.append(jobs.run())
        self.jobs = jobs.names

        origin = Origin(self, "origin", placement=placement, engine=foundation.instance.engine)
        self.service = Service(
            self,
            "service",
            config=ServiceConfig(
                inputs=settings.service,
                placement=placement,
                name=placement.names.service,
                workload=server,
                invoker_iam_disabled=False if isinstance(gate, IapGate) else settings.access.invoker_iam_disabled,
                iap_agent=gate.agent if isinstance(gate, IapGate) else "",
                stays=origin.stays,
            ),
        )
        if isinstance(gate, IapGate):
            gate.admit(self.service)
        Monitoring(
            self,
            "monitoring",
            config=MonitoringConfig(
                inputs=settings.monitoring,
                placement=placement,
                instance=foundation.instance,
                service=settings.service,
                url=self.url,
                answering=self.service.open,
            ),
        )

    def _gate(self, inputs: Inputs, urls: Urls) -> SignIn | IapGate:
        placement, settings = inputs.placement, inputs.settings
        if settings.iap.enabled:
            return IapGate(self, "iap", placement=placement, access=settings.access, inputs=settings.iap)
        return SignIn(
            self,
            "sign-in",
            config=SignInConfig(
                inputs=settings.access,
                placement=placement,
                secret_id=placement.names.oauth2_proxy_secret,
                oauth_client_secret=inputs.oauth_client_secret,
                urls=urls,
            ),
        )
