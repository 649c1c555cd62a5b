"""Identity-Aware Proxy: who may pass it on the way to a Cloud Run service.

Left out: the proxy of load balancers, App Engine and virtual machines, its settings, and that its agent exists only
once somebody asked for it (`gcloud beta services identity create`).
https://cloud.google.com/iap/docs/enabling-cloud-run
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.resource import Cloud, policy
from localcloud.services import run
from localcloud.services.iam import Member, Target
from localcloud.terraform.model import Object, Problem, Refused, text

if TYPE_CHECKING:
    from collections.abc import Sequence

PASS = "iap.webServiceVersions.accessViaIAP"  # noqa: S105 - a permission


class CloudRunMember(Member):
    """A role at Identity-Aware Proxy in front of one service."""

    type = "google_iap_web_cloud_run_service_iam_member"
    api = run.API_OF_IAP
    permissions = policy("iap.webServices")
    target = "cloud_run_service_name"

    def target_name(self, values: Object) -> str:
        """The full name that IAP has for the service."""
        project, location, service = (text(values, part) for part in ("project", "location", self.target))
        return f"projects/{project}/iap_web/cloud_run-{location}/services/{service}"

    def replaced_by(self, prior: Object, planned: Object) -> list[str]:
        """Also in another region it is another one."""
        moved = ["location"] if planned.get("location") != prior.get("location") else []
        return sorted({*super().replaced_by(prior, planned), *moved})

    def owner(self, values: Object) -> tuple[str, str]:
        """The service."""
        return run.Service.type, self._service(values)

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """The service must exist."""
        super().precheck(cloud, planned, config)
        if not cloud.store.get(run.Service.type, self._service(planned)):
            raise Refused(Problem(f"Error 404: no Cloud Run service {self._service(planned)}", "Use its name."))

    def _service(self, values: Object) -> str:
        return run.Service.id_format.format_map(values | {"name": text(values, self.target)})


def target(service: Object) -> Target:
    """A service behind IAP, for `iam.allows`."""
    names = {"project": text(service, "project"), "location": text(service, "location")}
    name = CloudRunMember().target_name({**names, "cloud_run_service_name": text(service, "name")})
    return Target(
        project=names["project"],
        name=name,
        type="iap.googleapis.com/WebServiceVersion",
        member_type=CloudRunMember.type,
        member_key=name,
    )


def agent(cloud: Cloud, project: str) -> str:
    """The account, as bindings name it, by which IAP calls a service: https://cloud.google.com/iam/docs/service-agents."""
    return f"serviceAccount:service-{cloud.project_number(project)}@gcp-sa-iap.iam.gserviceaccount.com"


def audience(cloud: Cloud, service: Object) -> str:
    """The service as assertions name it: https://cloud.google.com/iap/docs/signed-headers-howto."""
    location, name = text(service, "location"), text(service, "name")
    return f"/projects/{cloud.project_number(text(service, 'project'))}/locations/{location}/services/{name}"


def urls_of_programs(urls: Sequence[str], path: str) -> set[str]:
    """What the audience of a token that an account has signed may be, for a request of a path at one of these URLs."""
    return {f"{url}{end}" for url in urls for end in ("/*", path)}
