"""Reads a revision's template: its container, its probes, and how requests reach it.

Left out: more than one container, volumes other than secrets and Cloud SQL instances, gRPC probes, GPUs, connectors to
a VPC network, what is in one besides Cloud SQL instances, and pulling the image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from containers.container import ContainerSpec
from containers.loopback import unguessable_address
from localcloud.clock import seconds
from localcloud.machine.scaling import Terms
from localcloud.services import networks, secretmanager
from localcloud.terraform.model import Object, Problem, Refused, Value, at, objects, strings, text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from localcloud.resource import Cloud

ACCOUNT_LABEL = "localcloud.account"
"""On each instance of a service: the service account that it is."""
LABEL = "localcloud.service"
"""On each instance of a service: the name of the local cloud."""
REVISION_LABEL = "localcloud.revision"
"""The name of the local cloud, a slash, and the revision's."""
TASK_LABEL = "localcloud.execution.task"
"""On each container of a job: the index of its task, a slash, and the number of the attempt."""
_MEMORY_UNITS = {"Ki": 1 / 1024, "Mi": 1, "Gi": 1024}
# What Cloud Run assumes: https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services
_DEFAULT_PORT = 8080
_DEFAULT_CONCURRENCY = 80
_DEFAULT_MAX_INSTANCES = 100
_DEFAULT_TIMEOUT_S = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """How an instance is asked whether it is well: https://cloud.google.com/run/docs/configuring/healthchecks.

    Attributes:
        path: The path of an HTTP probe; "" when a listening port is enough.
        port: The port of the container.
        initial_delay_s: Seconds before the first try.
        period_s: Seconds from one try to the next.
        timeout_s: Seconds that an answer may take.
        failure_threshold: So many failures in a row are one too many.
    """

    path: str
    port: int
    initial_delay_s: int
    period_s: int
    timeout_s: int
    failure_threshold: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RevisionSpec:
    """The container of one revision, and the terms on which it runs.

    Attributes:
        name: The revision's name, without the service's.
        service: The full name of its service.
        container: What an instance is.
        port: The container's port for requests.
        startup: Until it passes, an instance gets no requests.
        liveness: When it fails, an instance is replaced; None for no such probe.
        scaling: How many instances there are.
        timeout_s: Longest request.
        cpu_idle: The CPU is taken away between requests.
    """

    name: str
    service: str
    container: ContainerSpec
    port: int
    startup: Probe
    liveness: Probe | None
    scaling: Terms
    timeout_s: float
    cpu_idle: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """The additions of the platform to each container.

    Attributes:
        environment: Finds out the variables that say where Google's services are.
        sockets: For a Cloud SQL connection name, the volume with its socket -> where the container expects it.
        ways: For a VPC network, what lets a container reach what is there.
        secrets: A folder for the files of secret volumes, which only this user can enter.
        label: The value of the label `localcloud` on all that belongs to this local cloud.
    """

    environment: Callable[[], Awaitable[Mapping[str, str]]]
    sockets: Callable[[str], Mapping[str, str]]
    ways: Callable[[str], Sequence[ContainerSpec]]
    secrets: Path
    label: str


async def read(cloud: Cloud, service: Object, revision: str, surroundings: Surroundings) -> RevisionSpec:
    """Reads the template of a google_cloud_run_v2_service.

    Args:
        cloud: Where its secrets are.
        service: The service.
        revision: The full name of the revision.
        surroundings: What the platform adds.

    Raises:
        Refused: The template has more than one container, or a secret cannot be read.
    """
    template, name = objects(service, "template")[0], revision.rpartition("/")[2]
    container = objects(template, "containers")[0]
    port = whole(at(container, "ports", 0, "container_port"), _DEFAULT_PORT)
    spec = await read_container(cloud, text(service, "project"), template, name, surroundings)
    own = {
        "PORT": str(port),
        "K_SERVICE": text(service, "name"),
        "K_CONFIGURATION": text(service, "name"),
        "K_REVISION": name,
    }
    return RevisionSpec(
        name=name,
        service=revision.partition("/revisions/")[0],
        container=replace(
            spec,
            environment={**own, **spec.environment},
            ports=[port],
            published_at=unguessable_address(),  # the way to an instance is through the front door
        ),
        port=port,
        startup=_probe(at(container, "startup_probe", 0), port) or _listens(port),
        liveness=_probe(at(container, "liveness_probe", 0), port),
        scaling=Terms(
            min_instances=whole(at(template, "scaling", 0, "min_instance_count"), 0),
            max_instances=whole(at(template, "scaling", 0, "max_instance_count"), 0) or _DEFAULT_MAX_INSTANCES,
            concurrency=whole(at(template, "max_instance_request_concurrency"), 0) or _DEFAULT_CONCURRENCY,
            cpus=spec.cpus or 1,
        ),
        timeout_s=seconds(template.get("timeout")) or _DEFAULT_TIMEOUT_S,
        cpu_idle=at(container, "resources", 0, "cpu_idle") is not False,
    )


async def read_container(
    cloud: Cloud, project: str, template: Object, name: str, surroundings: Surroundings
) -> ContainerSpec:
    """Reads what a service and a job have in common: the container, its account, its secrets and its sockets.

    Args:
        cloud: Where its secrets are.
        project: The project of the service or job.
        template: The block with the containers and the volumes.
        name: Of what it is a part, without slashes.
        surroundings: What the platform adds.

    Raises:
        Refused: The template has more than one container, or a secret cannot be read.
    """
    containers = objects(template, "containers")
    if len(containers) != 1:
        raise Refused(Problem("A template with more than one container has no meaning in the local cloud"))
    container = containers[0]
    sockets: dict[Path | str, str] = {
        volume: target
        for mounted in objects(template, "volumes")
        for connection_name in strings(mounted, "cloud_sql_instance", 0, "instances")
        for volume, target in surroundings.sockets(connection_name).items()
    }
    interfaces = objects(template, "vpc_access", 0, "network_interfaces")
    memory_mib = mebibytes(text(container, "resources", 0, "limits", "memory") or "512Mi")
    return ContainerSpec(
        image=text(container, "image"),
        entrypoint=" ".join(strings(container, "command")),
        command=strings(container, "args"),
        environment={**await surroundings.environment(), **dict(_variables(cloud, project, container))},
        mounts=sockets | dict(_secret_files(cloud, project, template, container, surroundings.secrets / name)),
        labels={
            "localcloud": surroundings.label,
            ACCOUNT_LABEL: text(template, "service_account"),
            LABEL: surroundings.label,
            REVISION_LABEL: f"{surroundings.label}/{name}",
        },
        # The file system of an instance is memory, and counts: https://cloud.google.com/run/docs/container-contract
        tmpfs={"/tmp": memory_mib},  # noqa: S108
        memory_mib=memory_mib,
        cpus=cpus(text(container, "resources", 0, "limits", "cpu") or "1"),
        helpers=[way for one in interfaces for way in surroundings.ways(networks.network_of(one))],
    )


def mebibytes(quantity: str) -> int:
    """Reads `512Mi` or `2Gi`."""
    number, unit = re.fullmatch(r"(\d+)([KMG]i)", quantity).groups()  # pyright: ignore[reportOptionalMemberAccess]
    return int(int(number) * _MEMORY_UNITS[unit])


def cpus(quantity: str) -> float:
    """Reads `2` or `1000m`."""
    return int(quantity.removesuffix("m")) / 1000 if quantity.endswith("m") else float(quantity)


def whole(value: Value, default: int) -> int:
    """A number of the template, or the default where there is none."""
    return int(value) if isinstance(value, int | float) else default


def _variables(cloud: Cloud, project: str, container: Object) -> Iterator[tuple[str, str]]:
    for variable in objects(container, "env"):
        reference = at(variable, "value_source", 0, "secret_key_ref", 0)
        if isinstance(reference, dict):
            value = secretmanager.value(cloud, project, text(reference, "secret"), _version(reference))
            yield text(variable, "name"), value
        else:
            yield text(variable, "name"), text(variable, "value")


def _secret_files(
    cloud: Cloud, project: str, template: Object, container: Object, folder: Path
) -> Iterator[tuple[Path | str, str]]:
    """Lays out secret volumes; the container's user may read the files, nobody else gets into the folder above them."""
    where = {text(mount, "name"): text(mount, "mount_path") for mount in objects(container, "volume_mounts")}
    for volume in objects(template, "volumes"):
        for secret in objects(volume, "secret"):
            files = folder / text(volume, "name")
            files.mkdir(parents=True, exist_ok=True)
            for item in objects(secret, "items") or [{"path": text(secret, "secret").rpartition("/")[2]}]:
                value = secretmanager.value(cloud, project, text(secret, "secret"), _version(item))
                (files / text(item, "path")).write_text(value)
            yield files, where[text(volume, "name")]


def _version(reference: Object) -> str:
    return text(reference, "version") or "latest"


def _probe(block: Value, port: int) -> Probe | None:
    if not isinstance(block, dict):
        return None
    get = at(block, "http_get", 0)
    return Probe(
        path=(text(get, "path") or "/") if isinstance(get, dict) else "",
        port=whole(at(block, "http_get" if isinstance(get, dict) else "tcp_socket", 0, "port"), port),
        initial_delay_s=whole(at(block, "initial_delay_seconds"), 0),
        period_s=whole(at(block, "period_seconds"), 10),
        timeout_s=whole(at(block, "timeout_seconds"), 1),
        failure_threshold=whole(at(block, "failure_threshold"), 3),
    )


def _listens(port: int) -> Probe:
    """The probe of a template without one: the port must be open within 240 s."""
    return Probe(path="", port=port, initial_delay_s=0, period_s=1, timeout_s=1, failure_threshold=240)
