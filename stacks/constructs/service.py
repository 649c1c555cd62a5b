"""What runs: MLflow behind oauth2-proxy in one container of a Cloud Run service."""

from dataclasses import dataclass

from cdktf import ITerraformDependable, Precondition, TerraformResourceLifecycle, TerraformStack, Token
from cdktf_cdktf_provider_google.cloud_run_v2_service import (
    CloudRunV2Service,
    CloudRunV2ServiceTemplate,
    CloudRunV2ServiceTemplateContainers,
    CloudRunV2ServiceTemplateContainersEnv,
    CloudRunV2ServiceTemplateContainersEnvValueSource,
    CloudRunV2ServiceTemplateContainersEnvValueSourceSecretKeyRef,
    CloudRunV2ServiceTemplateContainersLivenessProbe,
    CloudRunV2ServiceTemplateContainersLivenessProbeHttpGet,
    CloudRunV2ServiceTemplateContainersPorts,
    CloudRunV2ServiceTemplateContainersResources,
    CloudRunV2ServiceTemplateContainersStartupProbe,
    CloudRunV2ServiceTemplateContainersStartupProbeHttpGet,
    CloudRunV2ServiceTemplateContainersVolumeMounts,
    CloudRunV2ServiceTemplateScaling,
    CloudRunV2ServiceTemplateVolumes,
    CloudRunV2ServiceTemplateVolumesCloudSqlInstance,
    CloudRunV2ServiceTemplateVolumesSecret,
    CloudRunV2ServiceTemplateVolumesSecretItems,
)
from cdktf_cdktf_provider_google.cloud_run_v2_service_iam_member import CloudRunV2ServiceIamMember
from constructs import Construct

from stacks import names
from stacks.constructs.expressions import add_name_value_blocks, local, string
from stacks.constructs.secrets import Secret
from stacks.inputs import Placement, StringMap
from stacks.names import pin
from stacks.settings import service as settings

# What Google answers though nobody said it: the scaling of the service as a whole, which providers below 7.13 take for
# a change (https://github.com/hashicorp/terraform-provider-google/pull/25310), and who touched the service last.
_NOTED_BY_GOOGLE = ["client", "client_version", "scaling"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceConfig:
    """What the service needs; strings and maps may be Terraform tokens.

    Attributes:
        environment: Plain variables that the system itself sets; `inputs.env` are those that the user adds.
        backend_store_uri: The secret that becomes BACKEND_STORE_URI.
        proxy_file: The secret that is mounted as oauth2-proxy's configuration.
        ready: What must exist before a revision can start.
        stays: What must hold of a change, or the plan fails.
    """

    inputs: settings.Service
    placement: Placement
    service_account: str
    invoker_iam_disabled: bool
    environment: dict[str, str]
    backend_store_uri: Secret
    proxy_file: Secret
    connection_name: str
    ready: list[ITerraformDependable]
    stays: Precondition


class Service(Construct):
    """The Cloud Run service, open to the public at the IAM layer: oauth2-proxy is the gate.

    Attributes:
        name: The service's name.
        id: `projects/PROJECT/locations/REGION/services/NAME`.
    """

    def __init__(self, scope: Construct, id_: str, *, config: ServiceConfig) -> None:
        super().__init__(scope, id_)
        service = pin(
            CloudRunV2Service(
                self,
                "service",
                name=config.placement.names.service,
                project=config.placement.project_id,
                location=config.placement.region,
                ingress=config.inputs.ingress,
                invoker_iam_disabled=config.invoker_iam_disabled,
                # It holds no data: what must survive, the database and the bucket, is protected.
                deletion_protection=False,
                template=_template(config),
                labels=config.placement.labels,
                depends_on=config.ready,
                lifecycle=TerraformResourceLifecycle(ignore_changes=_NOTED_BY_GOOGLE, precondition=[config.stays]),
            ),
            "tracking",
        )
        if Token.is_unresolved(config.inputs.env):
            add_name_value_blocks(service, "template.containers.0", "env", config.inputs.env)
        self._let_the_public_call(service, config)
        self._tell_of_a_failed_revision()
        self.name = service.name
        self.id = service.id

    def _let_the_public_call(self, service: CloudRunV2Service, config: ServiceConfig) -> None:
        invoker = pin(
            CloudRunV2ServiceIamMember(
                self,
                "public",
                name=service.name,
                project=config.placement.project_id,
                location=config.placement.region,
                # Why: browsers have no Google identity to show before they have signed in. Not needed, and refused by
                # organizations with domain-restricted sharing, where the invoker check is off:
                # https://cloud.google.com/run/docs/authenticating/public
                role="roles/run.invoker",
                member="allUsers",
            ),
            "public",
        )
        invoker.add_override(
            "count", string(f"nonsensitive({local(self, 'invoker_iam_disabled', config.invoker_iam_disabled)}) ? 0 : 1")
        )

    def _tell_of_a_failed_revision(self) -> None:
        # Google keeps the template of a revision that does not start: the plan after it is empty, though the revision
        # before goes on serving. https://github.com/hashicorp/terraform-provider-google/issues/22565
        service = "google_cloud_run_v2_service.tracking"
        created, ready = (f"{service}.latest_{state}_revision" for state in ("created", "ready"))
        newest, serving = string(f"basename({created})"), string(f'coalesce(basename({ready}), "no revision")')
        TerraformStack.of(self).add_override(
            "check.newest_revision_serves.assert",
            [
                {
                    "condition": string(f"{created} == {ready}"),
                    "error_message": (
                        f"{newest} did not start, and {serving} serves. An apply changes nothing, for Google has the"
                        " new template already. When the cause is gone, make a revision: gcloud run"
                        f" services update {string(f'{service}.name')} --region={string(f'{service}.location')}"
                        f" --project={string(f'{service}.project')} --update-labels=retry=1"
                    ),
                }
            ],
        )


def _template(config: ServiceConfig) -> CloudRunV2ServiceTemplate:
    return CloudRunV2ServiceTemplate(
        service_account=config.service_account,
        execution_environment="EXECUTION_ENVIRONMENT_GEN2",
        timeout=f"{Token.as_string(config.inputs.timeout_seconds)}s",
        max_instance_request_concurrency=config.inputs.concurrency,
        scaling=CloudRunV2ServiceTemplateScaling(
            min_instance_count=config.inputs.min_instances,
            max_instance_count=config.inputs.max_instances,
        ),
        containers=[_container(config)],
        volumes=[
            CloudRunV2ServiceTemplateVolumes(
                name="oauth2-proxy",
                secret=CloudRunV2ServiceTemplateVolumesSecret(
                    secret=config.proxy_file.name,
                    items=[
                        CloudRunV2ServiceTemplateVolumesSecretItems(
                            path=names.PROXY_CONFIG_FILE, version=config.proxy_file.version
                        )
                    ],
                ),
            ),
            # Last, as Cloud Run answers it; first, it would change places with the other at every plan:
            # https://github.com/hashicorp/terraform-provider-google/issues/23322
            CloudRunV2ServiceTemplateVolumes(
                name="cloudsql",
                cloud_sql_instance=CloudRunV2ServiceTemplateVolumesCloudSqlInstance(instances=[config.connection_name]),
            ),
        ],
    )


def _container(config: ServiceConfig) -> CloudRunV2ServiceTemplateContainers:
    return CloudRunV2ServiceTemplateContainers(
        image=config.inputs.image,
        ports=CloudRunV2ServiceTemplateContainersPorts(container_port=names.PROXY_PORT),
        resources=CloudRunV2ServiceTemplateContainersResources(
            limits={"cpu": config.inputs.cpu, "memory": config.inputs.memory},
            # MLflow is a background process: on request-only CPU it would never finish starting.
            # https://cloud.google.com/run/docs/configuring/billing-settings
            cpu_idle=False,
            startup_cpu_boost=True,
        ),
        env=[
            *(
                CloudRunV2ServiceTemplateContainersEnv(name=name, value=value)
                for name, value in sorted((config.environment | _known(config.inputs.env)).items())
            ),
            CloudRunV2ServiceTemplateContainersEnv(
                name="BACKEND_STORE_URI",
                value_source=CloudRunV2ServiceTemplateContainersEnvValueSource(
                    secret_key_ref=CloudRunV2ServiceTemplateContainersEnvValueSourceSecretKeyRef(
                        secret=config.backend_store_uri.name, version=config.backend_store_uri.version
                    )
                ),
            ),
        ],
        volume_mounts=[
            CloudRunV2ServiceTemplateContainersVolumeMounts(name="oauth2-proxy", mount_path=names.PROXY_CONFIG_FOLDER),
            # Last, as the volume.
            CloudRunV2ServiceTemplateContainersVolumeMounts(name="cloudsql", mount_path=names.CLOUDSQL_FOLDER),
        ],
        # The proxy answers both while MLflow is down. They are honest all the same: start.sh opens the proxy's port
        # when MLflow answers, and ends the container when MLflow stops answering. Google's limit for starting is 240 s:
        # https://cloud.google.com/run/docs/configuring/healthchecks
        startup_probe=CloudRunV2ServiceTemplateContainersStartupProbe(
            http_get=CloudRunV2ServiceTemplateContainersStartupProbeHttpGet(path="/ready", port=names.PROXY_PORT),
            period_seconds=2,
            timeout_seconds=2,
            failure_threshold=120,
        ),
        liveness_probe=CloudRunV2ServiceTemplateContainersLivenessProbe(
            http_get=CloudRunV2ServiceTemplateContainersLivenessProbeHttpGet(path="/ping", port=names.PROXY_PORT),
            period_seconds=10,
            timeout_seconds=5,
            failure_threshold=3,
        ),
    )


def _known(variables: StringMap) -> dict[str, str]:
    return {} if Token.is_unresolved(variables) else dict(variables)
