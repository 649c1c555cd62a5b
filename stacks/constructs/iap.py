"""Identity-Aware Proxy as the gate: who may pass it, and what the container needs to check what it asserts."""

from typing import Final

from cdktf_cdktf_provider_google.iap_web_cloud_run_service_iam_member import IapWebCloudRunServiceIamMember
from constructs import Construct

from stacks import addresses
from stacks.constructs.expressions import local, string
from stacks.constructs.service import Service
from stacks.constructs.workload import Workload
from stacks.inputs import Placement
from stacks.resources import pin
from stacks.settings.access import Access
from stacks.settings.iap import Iap

_KINDS: Final = ("user", "domain", "serviceAccount", "group")


class IapGate(Construct):
    """What Identity-Aware Proxy needs to be the service's gate.

    Attributes:
        agent: The account by which it calls the service, as an IAM member. It exists once somebody asked for it:
            https://cloud.google.com/iam/docs/service-agents
    """

    def __init__(self, scope: Construct, id_: str, *, placement: Placement, access: Access, inputs: Iap) -> None:
        super().__init__(scope, id_)
        self._placement = placement
        self.agent = f"serviceAccount:service-{placement.project_number}@gcp-sa-iap.iam.gserviceaccount.com"
        prefix = placement.prefix
        lists = (
            local(self, f"{prefix}emails", access.emails),
            local(self, f"{prefix}email_domains", access.email_domains),
            local(self, f"{prefix}service_accounts", access.service_accounts),
            local(self, f"{prefix}groups", inputs.groups),
        )
        # IAM keeps addresses in lower case: two spellings would be one grant with two resources.
        members = ", ".join(
            f'[for one in {those} : "{kind}:${{lower(one)}}"]' for kind, those in zip(_KINDS, lists, strict=True)
        )
        self._members = local(self, f"{prefix}iap_members", string(f"toset(concat({members}))"))

    def guard(self, workload: Workload) -> None:
        """Tells a workload for which service an assertion must be: that of another one does not open it."""
        placement = self._placement
        service = f"{placement.region}/services/{placement.names.service}"
        # https://cloud.google.com/iap/docs/signed-headers-howto#verifying_the_jwt_payload
        workload.set({"IAP_AUDIENCE": f"/projects/{placement.project_number}/locations/{service}"})

    def admit(self, service: Service) -> None:
        """Lets people, domains, accounts and groups pass on their way to the service."""
        member = pin(
            IapWebCloudRunServiceIamMember(
                self,
                "member",
                project=self._placement.project_id,
                location=self._placement.region,
                cloud_run_service_name=service.name,
                # Why: https://cloud.google.com/iap/docs/managing-access#roles
                role="roles/iap.httpsResourceAccessor",
                member=string("each.value"),
            ),
            addresses.IAP_MEMBERS.of(self._placement.prefix),
        )
        member.add_override("for_each", string(self._members))
