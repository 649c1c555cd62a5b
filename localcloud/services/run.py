"""Cloud Run: services, their revisions, and who may call them.

Left out: traffic splitting. Containers and requests are the platform's. Google keeps a service whose first revision
failed; here a change that is refused leaves all as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.model import Object, Problem, Refused, Value, objects, text
from localcloud.resource import Cloud, Resource, name_problem, now, protected, stable_number
from localcloud.services import revision
from localcloud.services.iam import Member, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_API = "run.googleapis.com"


class Service(Resource):
    """A service: an address, and revisions of a container behind it."""

    type = "google_cloud_run_v2_service"
    api = _API
    id_format = "projects/{project}/locations/{location}/services/{name}"
    immutable = frozenset({"location", "name", "project"})
    assigned = frozenset(
        {
            "conditions", "create_time", "creator", "etag", "expire_time", "delete_time", "generation", "ingress",
            "last_modifier", "latest_created_revision", "latest_ready_revision", "launch_stage", "observed_generation",
            "reconciling", "terminal_condition", "traffic_statuses", "uid", "update_time", "uri", "urls",
        }
    )  # fmt: skip
    imports = (id_format, "{project}/{location}/{name}", "{location}/{name}")

    def check(self, values: Object) -> Iterator[Problem]:
        """Names as https://cloud.google.com/run/docs/deploying has them."""
        yield from name_problem(
            values,
            "name",
            r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?",
            "At most 49 lower-case letters, digits and hyphens, a letter first, no hyphen last: https://cloud.google.com/run/docs/deploying",
        )

    def changing(self, prior: Object, planned: Object) -> Sequence[str]:
        """Every change is a generation; a changed template is a revision."""
        names = ["etag", "generation", "observed_generation", "update_time"]
        if planned.get("template") != prior.get("template"):
            names += ["latest_created_revision", "latest_ready_revision"]
        return names

    def admit(self, cloud: Cloud, values: Object, config: Object) -> None:
        """Starts a revision, as far as that can fail."""
        del config
        for template in objects(values, "template"):
            revision.start(cloud, text(values, "project"), template)

    def realize(self, cloud: Cloud, values: Object, config: Object, prior: Object | None) -> Object:
        """Gives it its addresses, and a revision if the template is new."""
        del config
        project, location, name = (text(values, part) for part in ("project", "location", "name"))
        full_name, time = self.identify(values), now()
        generation = str(int(text(prior, "generation") or 0) + 1)
        latest = text(prior, "latest_ready_revision")
        if not prior or prior.get("template") != values.get("template"):
            latest = f"{full_name}/revisions/{revision.next_name(name, latest)}"
            cloud.platform.run_service(values, latest)
        urls: list[Value] = [f"https://{name}-{cloud.project_number(project)}.{location}.run.app"]
        return {
            "conditions": [_condition("RoutesReady", time), _condition("ConfigurationsReady", time)],
            "create_time": text(prior, "create_time") or time,
            "creator": "terraform@localhost",
            "delete_time": "",
            "etag": f'"{stable_number(full_name, generation, digits=12)}"',
            "expire_time": "",
            "generation": generation,
            "ingress": values.get("ingress") if isinstance(values.get("ingress"), str) else "INGRESS_TRAFFIC_ALL",
            "last_modifier": "terraform@localhost",
            "latest_created_revision": latest,
            "latest_ready_revision": latest,
            "launch_stage": "GA",
            "observed_generation": generation,
            "reconciling": False,
            "terminal_condition": [_condition("Ready", time)],
            "traffic_statuses": [
                {"percent": 100, "revision": "", "tag": "", "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "uri": ""}
            ],
            "uid": stable_number(full_name, digits=18),
            "update_time": time,
            "uri": urls[0],
            "urls": urls,
        }

    def remove(self, cloud: Cloud, values: Object) -> None:
        """Bindings on it go with it. Protection is the default."""
        if values.get("deletion_protection") is not False:
            raise protected(f"Cloud Run service {text(values, 'name')}", "deletion_protection")
        cloud.platform.remove_service(values)
        for member in cloud.store.all(ServiceMember.type):
            if ServiceMember().target_name(member) == self.identify(values):
                cloud.store.remove(ServiceMember.type, text(member, "id"))


class ServiceMember(Member):
    """A role on one service."""

    type = "google_cloud_run_v2_service_iam_member"
    api = _API
    target = "name"

    def target_name(self, values: Object) -> str:
        """The service's full name; the short one is allowed too."""
        name = text(values, "name")
        short = Service.id_format.format(project=text(values, "project"), location=text(values, "location"), name=name)
        return name if "/" in name else short

    def admit(self, cloud: Cloud, values: Object, config: Object) -> None:
        """The service must exist."""
        super().admit(cloud, values, config)
        if not cloud.store.get(Service.type, self.target_name(values)):
            raise Refused(
                Problem(f"Error 404: no Cloud Run service {self.target_name(values)}", "Use its name and location.")
            )


def target(service: Object) -> Target:
    """A service, for `iam.allows`."""
    name = text(service, "id")
    return Target(
        project=text(service, "project"),
        name=name,
        type="run.googleapis.com/Service",
        member_type=ServiceMember.type,
        member_key=name,
    )


def _condition(kind: str, time: str) -> Object:
    unset = dict.fromkeys(("execution_reason", "message", "reason", "revision_reason", "severity"), "")
    return {**unset, "last_transition_time": time, "state": "CONDITION_SUCCEEDED", "type": kind}
