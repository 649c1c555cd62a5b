"""The service: MLflow behind oauth2-proxy in one container of a Cloud Run service."""

from dataclasses import dataclass

from cdktf import ITerraformDependable, Precondition, TerraformResourceLifecycle, TerraformStack, Token
from cdktf_cdktf_provider_google.cloud_run_v2_service import (
    CloudRunV2Service,
    CloudRunV2ServiceTemplate,
    CloudRunV2ServiceTemplateContainers,
    CloudRunV2ServiceTemplateContainersLivenessProbe,
    CloudRunV2ServiceTemplateContainersLivenessProbeHttpGet,
    CloudRunV2ServiceTemplateContainersPorts,
    CloudRunV2ServiceTemplateContainersResources,
    CloudRunV2ServiceTemplateContainersStartupProbe,
    CloudRunV2ServiceTemplateContainersStartupProbeHttpGet,
    CloudRunV2ServiceTemplateScaling,
)
from cdktf_cdktf_provider_google.cloud_run_v2_service_iam_member import CloudRunV2ServiceIamMember
from constructs import Construct

from stacks import addresses, names
from stacks.constructs.expressions import key_argument, local, string
from stacks.constructs.workload import Workload
from stacks.inputs import Placement
from stacks.resources import pin
from stacks.settings import service as settings

# What Google answers though nobody said it: the scaling of the service as a whole, which providers below 7.13 take for
# a change (https://github.com/hashicorp/terraform-provider-google/pull/25310), and who touched the service last.
_NOTED_BY_GOOGLE = ["client", "client_version", "scaling"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceConfig:
    """Inputs of a service; strings may be Terraform tokens.

    Attributes:
        workload: What its container needs.
        invoker_iam_disabled: Whether Cloud Run asks nobody who calls.
        iap_agent: The one who calls where Identity-Aware Proxy is the gate, as an IAM member; empty for everybody.
        stays: What must hold of a change, or the plan fails.
    """

    inputs: settings.Service
    placement: Placement
    name: str
    workload: Workload
    invoker_iam_disabled: bool
    stays: Precondition
    iap_agent: str = ""


class Service(Construct):
    """A Cloud Run service, which the public may call if oauth2-proxy is the gate, and IAP alone if that is.

    Attributes:
        name: The service's name.
        id: `projects/PROJECT/locations/REGION/services/NAME`.
        open: What whoever calls it waits for.
    """

    def __init__(self, scope: Construct, id_: str, *, config: ServiceConfig) -> None:
        super().__init__(scope, id_)
        self._address = addresses.SERVICE.of(config.placement.prefix)
        service = pin(
            CloudRunV2Service(
                self,
                "service",
                name=config.name,
                project=config.placement.project_id,
                location=config.placement.region,
                ingress=config.inputs.ingress,
                invoker_iam_disabled=config.invoker_iam_disabled,
                # It holds no data: what must survive, the database and the bucket, is protected.
                deletion_protection=False,
                template=_template(config, key_argument(self, config.placement)),
                labels=config.placement.labels,
                depends_on=config.workload.ready,
                lifecycle=TerraformResourceLifecycle(ignore_changes=_NOTED_BY_GOOGLE, precondition=[config.stays]),
            ),
            self._address,
        )
        config.workload.add_to(service, "template")
        caller = self._let_iap_call(service, config) if config.iap_agent else self._let_the_public_call(service, config)
        self.open: list[ITerraformDependable] = [service, caller]
        self._tell_of_a_failed_revision(f"{config.placement.prefix}newest_revision_serves")
        self.name = service.name
        self.id = service.id

    def _let_the_public_call(self, service: CloudRunV2Service, config: ServiceConfig) -> CloudRunV2ServiceIamMember:
        # Why: browsers have no Google identity to show before they have signed in. Not needed, and refused by
        # organizations with domain-restricted sharing, where the invoker check is off:
        # https://cloud.google.com/run/docs/authenticating/public
        invoker = self._invoker("public", "allUsers", addresses.PUBLIC_INVOKER, service, config)
        disabled = local(self, f"{config.placement.prefix}invoker_iam_disabled", config.invoker_iam_disabled)
        invoker.add_override("count", string(f"nonsensitive({disabled}) ? 0 : 1"))
        return invoker

    def _let_iap_call(self, service: CloudRunV2Service, config: ServiceConfig) -> CloudRunV2ServiceIamMember:
        # The bindings are of a version that does not know it.
        service.add_override("iap_enabled", True)  # noqa: FBT003 - the argument's value
        # Why: IAP calls the service as its own agent, whoever it has let in, and nobody else does.
        # https://cloud.google.com/run/docs/securing/identity-aware-proxy-cloud-run
        return self._invoker("iap", config.iap_agent, addresses.IAP_INVOKER, service, config)

    def _invoker(
        self, id_: str, member: str, address: addresses.Address, service: CloudRunV2Service, config: ServiceConfig
    ) -> CloudRunV2ServiceIamMember:
        placement = config.placement
        return pin(
            CloudRunV2ServiceIamMember(
                self,
                id_,
                name=service.name,
                project=placement.project_id,
                location=placement.region,
                role="roles/run.invoker",
                member=member,
            ),
            address.of(placement.prefix),
        )

    def _tell_of_a_failed_revision(self, check: str) -> None:
        # Google keeps the template of a revision that does not start: the plan after it is empty, though the revision
        # before goes on serving. https://github.com/hashicorp/terraform-provider-google/issues/22565
        service = self._address
        created, ready = (f"{service}.latest_{state}_revision" for state in ("created", "ready"))
        newest, serving = string(f"basename({created})"), string(f'coalesce(basename({ready}), "no revision")')
        TerraformStack.of(self).add_override(
            f"check.{check}.assert",
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


def _template(config: ServiceConfig, key: str | None) -> CloudRunV2ServiceTemplate:
    return CloudRunV2ServiceTemplate(
        service_account=config.workload.account.email,
        execution_environment="EXECUTION_ENVIRONMENT_GEN2",
        # https://cloud.google.com/run/docs/securing/using-cmek
        encryption_key=key,
        timeout=f"{Token.as_string(config.inputs.timeout_seconds)}s",
        max_instance_request_concurrency=config.inputs.concurrency,
        scaling=CloudRunV2ServiceTemplateScaling(
            min_instance_count=config.inputs.min_instances,
            max_instance_count=config.inputs.max_instances,
        ),
        containers=[_container(config)],
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
