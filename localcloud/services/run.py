"""Cloud Run: services, their revisions, and who may call them.

A revision that does not start leaves its template with the service, as it does at Google, and the requests with the
last revision that did start. Left out: traffic splitting, and the 30 days for which a deleted service is remembered.
Containers and requests are the platform's.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from localcloud.resource import (
    OWNER,
    Api,
    Cloud,
    Kept,
    Resource,
    crud,
    name_problem,
    now,
    policy,
    protected,
    require_api,
    stable_number,
)
from localcloud.services import revision
from localcloud.services.iam import Member, Target
from localcloud.terraform.model import UNKNOWN, Attribute, Object, Problem, Refused, Value, at, objects, text
from localcloud.terraform.schema import Corrections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from localcloud.resource import ApiDefault

API = Api("run.googleapis.com", "Cloud Run Admin API")
API_OF_IAP = Api("iap.googleapis.com", "Cloud Identity-Aware Proxy API")
_SQL_FOLDER = "/cloudsql"
_REVISION = "run.revision"  # a service as it was when one of its revisions was made, by the revision's full name
_REGION_CODES = {
    "us-central1": "uc",
    "europe-west1": "ew",
    "europe-west4": "ez",
    "europe-west9": "od",
}


_PROBES = ("liveness_probe", "startup_probe")
PROBE: Mapping[str, Value] = {
    "failure_threshold": 3,
    "initial_delay_seconds": 0,
    "period_seconds": 10,
    "timeout_seconds": 1,
}
"""The provider's defaults of a probe."""
LIMITS: Mapping[str, Value] = {"cpu": "1000m", "memory": "512Mi"}
"""What a container gets that asks for nothing."""


class Service(Resource):
    """A service: an address, and revisions of a container behind it."""

    type = "google_cloud_run_v2_service"
    api = API
    permissions = crud("run.services")
    # https://github.com/hashicorp/terraform-provider-google/releases/tag/v7.21.0
    corrections = Corrections(newer={"iap_enabled": Attribute(type="bool", optional=True)})
    unset = frozenset({"effective_annotations"})
    id_format = "projects/{project}/locations/{location}/services/{name}"
    requires_replace = frozenset({"location", "name", "project"})
    defaults: ClassVar[Mapping[str, Value]] = {
        "deletion_protection": True,
        **{f"template.containers.{probe}.{name}": value for probe in _PROBES for name, value in PROBE.items()},
    }
    # https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        "ingress": "INGRESS_TRAFFIC_ALL",
        "launch_stage": "GA",
        "template.containers.ports": [{"container_port": 8080, "name": "http1"}],
        "template.containers.ports.name": "http1",
        "template.containers.resources": [{"cpu_idle": True, "limits": {**LIMITS}, "startup_cpu_boost": False}],
        "template.containers.resources.limits": {**LIMITS},
        "template.containers.startup_probe": lambda service: [
            {
                "failure_threshold": 1,
                "grpc": [],
                "http_get": [],
                "initial_delay_seconds": 0,
                "period_seconds": 240,
                "tcp_socket": [{"port": at(service, "template", 0, "containers", 0, "ports", 0, "container_port")}],
                "timeout_seconds": 240,
            }
        ],
        "template.max_instance_request_concurrency": 80,
        "template.scaling": [{"max_instance_count": 100, "min_instance_count": 0}],
        "template.timeout": "300s",
        "traffic": [{"percent": 100, "revision": "", "tag": "", "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"}],
    }
    imports = (id_format, "{project}/{location}/{name}", "{location}/{name}")

    def validate(self, config: Object) -> Iterator[Problem]:
        """Names as https://cloud.google.com/run/docs/deploying has them."""
        yield from name_problem(
            config,
            "name",
            r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?",
            "At most 49 lower-case letters, digits and hyphens, a letter first, no hyphen last: https://cloud.google.com/run/docs/deploying",
        )

    def permissions_for(self, verb: str, values: Object) -> tuple[str, ...]:
        """The caller must be able to act as the revision's account: https://cloud.google.com/run/docs/reference/iam/roles."""
        permissions = super().permissions_for(verb, values)
        if verb in {"create", "update"}:
            permissions += ("iam.serviceAccounts.actAs",)
            if values.get("invoker_iam_disabled") is True:
                permissions += ("run.services.setIamPolicy",)
        return permissions

    @override
    def conflict(self, cloud: Cloud, values: Object) -> str:
        del cloud
        return f"Error creating Service: googleapi: Error 409: Resource '{text(values, 'name')}' already exists."

    def read(self, values: Object) -> Object:
        """The volume and the mount of Cloud SQL come back last, and all mount paths of it as /cloudsql.

        Also a block that nobody sent: the scaling of the service as a whole.
        https://github.com/hashicorp/terraform-provider-google/issues/23322
        """
        scaling = values.get("scaling") or [{"manual_instance_count": 0, "min_instance_count": 0, "scaling_mode": ""}]
        template = [answered(template) for template in objects(values, "template")]
        return {**super().read(values), "scaling": scaling, "template": [*template]}

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """The image's registry and the network are looked at before anything is made."""
        del config
        for template in objects(planned, "template"):
            revision.require_places(cloud, text(planned, "location"), template)
        if planned.get("iap_enabled") is True:
            require_api(cloud, API_OF_IAP, text(planned, "project"))

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Starts the first revision."""
        del config
        return self._deploy(cloud, planned, None)

    def update(self, cloud: Cloud, planned: Object, config: Object, prior: Object) -> Object:
        """Starts another revision if the template changed."""
        del config
        return self._deploy(cloud, planned, prior)

    def _deploy(self, cloud: Cloud, values: Object, prior: Object | None) -> Object:
        project, location, name = (text(values, part) for part in ("project", "location", "name"))
        full_name, time = self.identify(values), now()
        generation = str(int(text(prior, "generation") or 0) + 1)
        ready, created = (text(prior, f"latest_{state}_revision") for state in ("ready", "created"))
        problems: tuple[Problem, ...] = ()
        if not prior or prior.get("template") != values.get("template"):
            created = f"{full_name}/revisions/{revision.next_name(name, created)}"
            try:
                self._start(cloud, values, created)
                ready = created
            except Refused as refused:
                problems = refused.problems
        hashed = "".join(string.ascii_lowercase[int(digit)] for digit in stable_number(project, digits=10))
        uri = f"https://{name}-{hashed}-{_REGION_CODES.get(location, location[:2])}.a.run.app"
        computed: Object = {
            "conditions": [condition("RoutesReady", time), condition("ConfigurationsReady", time, problems)],
            "create_time": text(prior, "create_time") or time,
            "creator": OWNER,
            "delete_time": "",
            "etag": f'"{stable_number(full_name, generation, digits=12)}"',
            "expire_time": "",
            "generation": generation,
            "last_modifier": OWNER,
            "latest_created_revision": created,
            "latest_ready_revision": ready,
            "observed_generation": generation,
            "reconciling": False,
            "terminal_condition": [condition("Ready", time, problems)],
            "traffic_statuses": [
                {"percent": 100, "revision": "", "tag": "", "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "uri": ""}
            ],
            "uid": stable_number(full_name, digits=18),
            "update_time": time,
            "uri": uri,
            "urls": [f"https://{name}-{cloud.project_number(project)}.{location}.run.app", uri],
        }
        if problems:
            raise Kept(computed, *problems)
        return computed

    def _start(self, cloud: Cloud, values: Object, name: str) -> None:
        for template in objects(values, "template"):
            revision.check_startable(cloud, text(values, "project"), template, name.rpartition("/")[2])
        cloud.platform.run_service(values, name)
        note_revision(cloud, values | {"id": self.identify(values)}, name)

    def delete(self, cloud: Cloud, values: Object) -> None:
        """Its revisions go with it. Protection is the default."""
        if values.get("deletion_protection") is not False:
            message = "cannot destroy service without setting deletion_protection=false and running `terraform apply`"
            raise protected(message, "deletion_protection")
        cloud.platform.remove_service(values)
        for made in cloud.store.all(_REVISION):
            if text(made, "id") == self.identify(values):
                cloud.store.remove(_REVISION, text(made, "revision"))


def full_name(of: type[Resource]) -> Callable[[Object], str]:
    """How the full name of a service or job follows from a binding on it, which may have the short one."""

    def form(member: Object) -> str:
        name = text(member, "name")
        return name if "/" in name else of.id_format.format_map(member)

    return form


class RunMember(Member):
    """A role on one service or one job."""

    api = API
    target = "name"
    of: ClassVar[type[Resource]]

    def target_name(self, values: Object) -> str:
        """The full name of the service or job."""
        return full_name(self.of)(values)

    def owner(self, values: Object) -> tuple[str, str]:
        """The service, or the job."""
        return self.of.type, self.target_name(values)

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """It must exist."""
        super().precheck(cloud, planned, config)
        name = self.target_name(planned)
        if not cloud.store.get(self.of.type, name):
            kind = name.split("/")[-2].removesuffix("s")
            raise Refused(Problem(f"Error 404: no Cloud Run {kind} {name}", "Use its name and location."))


class ServiceMember(RunMember):
    """A role on one service."""

    type = "google_cloud_run_v2_service_iam_member"
    permissions = policy("run.services")
    of = Service
    normalized: ClassVar[Mapping[str, Callable[[Object], Value]]] = {"name": full_name(Service)}


def target(service: Object) -> Target:
    """A service, for `iam.allows`."""
    name = text(service, "id")
    return Target(
        project=text(service, "project"),
        name=name,
        type=f"{API.name}/Service",
        member_type=ServiceMember.type,
        member_key=name,
    )


def note_revision(cloud: Cloud, service: Object, name: str) -> None:
    """Remembers what a revision of this full name was made of."""
    known = {key: value for key, value in service.items() if value is not UNKNOWN}
    cloud.store.put(_REVISION, name, {**known, "revision": name})


def serving(cloud: Cloud, service: Object) -> Object | None:
    """A service as it was when the revision that takes its requests was made; None if none ever started."""
    return cloud.store.get(_REVISION, text(service, "latest_ready_revision"))


def answered(template: Object) -> Object:
    """A template of containers as it comes back."""
    volumes = objects(template, "volumes")
    sockets = {text(volume, "name") for volume in volumes if objects(volume, "cloud_sql_instance")}

    def last(items: list[Object]) -> list[Value]:
        return [*sorted(items, key=lambda item: text(item, "name") in sockets)]

    containers: list[Value] = []
    for container in objects(template, "containers"):
        mounts: list[Object] = [
            {**mount, "mount_path": _SQL_FOLDER} if text(mount, "name") in sockets else mount
            for mount in objects(container, "volume_mounts")
        ]
        containers.append({**container, "volume_mounts": last(mounts)})
    return {**template, "containers": containers, "volumes": last(volumes)}


def condition(kind: str, time: str, problems: tuple[Problem, ...] = ()) -> Object:
    """A condition of a service or job, which failed if there are problems."""
    unset = dict.fromkeys(("execution_reason", "reason", "revision_reason", "severity"), "")
    return {
        **unset,
        "last_transition_time": time,
        "message": problems[0].summary if problems else "",
        "state": "CONDITION_FAILED" if problems else "CONDITION_SUCCEEDED",
        "type": kind,
    }
