"""The reasons why a Cloud Run revision cannot start: everything that its instances need and that is missing now.

What a container would meet at its first step, its database login, is checked in the container's place.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from localcloud.resource import Cloud, stable_number
from localcloud.services import artifactregistry, iam, kms, networks, secretmanager, sql, sql_logins, sql_parts
from localcloud.terraform.model import Object, Problem, Refused, objects, strings, text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_SQL_FOLDER = "/cloudsql/"  # where Cloud Run mounts the sockets of instances
_DATABASES = ("mysql", "postgresql")
_IMAGE_HOST = "-docker.pkg.dev"
_LATEST = "latest"
_POLL_S = 0.1


def check_startable(cloud: Cloud, project: str, template: Object, name: str) -> None:
    """Refuses a revision that cannot start now: at its deployment, and again at each start of an instance.

    Args:
        cloud: where it starts.
        project: the project of the service.
        template: the `template` block of google_cloud_run_v2_service.
        name: the revision's name, without the service's.

    Raises:
        Refused: with every reason at once.
    """
    problems = missing(cloud, project, template)
    if problems:
        raise Refused(*(_not_ready(name, problem) for problem in problems))


def missing(cloud: Cloud, project: str, template: Object, *, runs: bool = True) -> list[Problem]:
    """Returns the reasons why the containers of a template cannot start now.

    Args:
        cloud: where.
        project: the project of the service or job.
        template: the block with the containers and the volumes.
        runs: a container is about to start; else it is only looked at whether it could be made.
    """
    account = account_of(cloud, project, template)
    problems: list[Problem] = []
    with _noting(problems):
        iam.require_account(cloud, account, project)
    key = text(template, "encryption_key")
    with _noting(problems):
        location = key.split("/")[3] if key else ""  # that it is the service's own is looked at by a rule of ours
        kms.require_use(cloud, key, service="run", project=project, location=location)
    for container in objects(template, "containers"):
        with _noting(problems):
            _find_image(cloud, project, text(container, "image"))
            cloud.platform.find_image(text(container, "image"))
    interfaces = objects(template, "vpc_access", 0, "network_interfaces")
    values: list[str] = []
    for secret, version in dict.fromkeys(_secrets(template)):
        with _noting(problems):
            values.append(_read_secret(cloud, project, account, secret, version))
    instances = [name for volume in objects(template, "volumes") for name in _instances(volume)]
    for connection_name in instances if runs else ():
        with _noting(problems):
            _open_socket_in_time(cloud, account, connection_name)
    for value in values if runs and not problems else ():
        with _noting(problems):
            _log_in(cloud, value, instances, account, [networks.network_of(one) for one in interfaces])
    return problems


def account_of(cloud: Cloud, project: str, template: Object) -> str:
    """The service account that containers of a template are."""
    default = f"{cloud.project_number(project)}-compute@developer.gserviceaccount.com"
    return text(template, "service_account") or default


def next_name(service: str, latest: str) -> str:
    """The name of the revision after `latest` ("" for the first): a running number and a suffix, in Google's form."""
    number = int(latest.rpartition("/")[2].split("-")[-2]) + 1 if latest else 1
    return f"{service}-{number:05}-{stable_number(service, str(number), digits=3)}"


@contextmanager
def _noting(problems: list[Problem]) -> Generator[None]:
    try:
        yield
    except Refused as refused:
        problems.extend(refused.problems)


def _not_ready(name: str, problem: Problem) -> Problem:
    # What the provider prints of an operation that failed:
    # https://github.com/hashicorp/terraform-provider-google/blob/v6.50.0/google/tpgresource/common_operation.go
    summary = f"Error code 9, message: Revision '{name}' is not ready and cannot serve traffic. {problem.summary}"
    return Problem(summary, problem.detail, ("template",))


def _find_image(cloud: Cloud, project: str, image: str) -> None:
    host, _, path = image.partition("/")
    owner, _, rest = path.partition("/")
    if not host.endswith(_IMAGE_HOST):
        return
    location, repository = host.removesuffix(_IMAGE_HOST), rest.partition("/")[0]
    names = {"project": owner, "location": location, "repository_id": repository}
    name = artifactregistry.Repository.id_format.format_map(names)
    if owner != project:
        _let_the_agent_read(cloud, project, image, artifactregistry.target(owner, name))
    elif not cloud.store.get(artifactregistry.Repository.type, name):
        raise Refused(Problem(f"Image '{image}' not found.", f"There is no repository {name}: make it first."))


def _let_the_agent_read(cloud: Cloud, project: str, image: str, repository: iam.Target) -> None:
    agent = f"service-{cloud.project_number(project)}@serverless-robot-prod.iam.gserviceaccount.com"
    permission = "artifactregistry.repositories.downloadArtifacts"
    if not iam.allows(cloud, f"serviceAccount:{agent}", permission, repository):
        raise Refused(
            Problem(
                f"Google Cloud Run Service Agent {agent} must have permission to read the image, {image}. "
                "Ensure that the provided container image URL is correct and that the above account has permission to "
                f"access the image. Note that the image is from project [{repository.project}], which is not the same "
                f"as this project [{project}]. Permission must be granted to the Google Cloud Run Service Agent from "
                "this project.",
                "Not the service's own account pulls the image, but this agent: grant it roles/artifactregistry.reader "
                "on the repository. https://cloud.google.com/run/docs/deploying#other-projects",
            )
        )


def require_places(cloud: Cloud, location: str, template: Object) -> None:
    """Refuses an image of a registry that Cloud Run does not take images from, and a network that is elsewhere.

    Raises:
        Refused: https://cloud.google.com/run/docs/deploying#images
    """
    for interface in objects(template, "vpc_access", 0, "network_interfaces"):
        networks.require_subnet(cloud, location, interface)
    for container in objects(template, "containers"):
        image = text(container, "image")
        host = image.partition("/")[0]
        if not (host.endswith((_IMAGE_HOST, ".gcr.io")) or host in {"gcr.io", "docker.io"} or "." not in host):
            raise Refused(
                Problem(
                    "googleapi: Error 400: Expected an image path like [host/]repo-path[:tag and/or @digest], where "
                    f"host is one of [region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained {image}.",
                    "Copy it to Artifact Registry, or set up a remote repository there. "
                    "https://cloud.google.com/run/docs/deploying#images",
                    ("template",),
                )
            )


def _secrets(template: Object) -> Iterator[tuple[str, str]]:
    """The secrets that a template names, each with its version."""
    for container in objects(template, "containers"):
        for variable in objects(container, "env"):
            for source in objects(variable, "value_source"):
                for reference in objects(source, "secret_key_ref"):
                    yield text(reference, "secret"), text(reference, "version") or _LATEST
    for volume in objects(template, "volumes"):
        for secret in objects(volume, "secret"):
            for item in objects(secret, "items") or [{}]:
                yield text(secret, "secret"), text(item, "version") or _LATEST


def _read_secret(cloud: Cloud, project: str, account: str, secret: str, version: str) -> str:
    full_name = secretmanager.full_name(cloud, project, secret)
    target = secretmanager.target(cloud, full_name)
    if not iam.allows(cloud, f"serviceAccount:{account}", "secretmanager.versions.access", target):
        raise Refused(
            Problem(
                f"Permission denied on secret: {target.name}/versions/{version} for Revision service account {account}."
                " The service account used must be granted the 'Secret Manager Secret Accessor' role"
                " (roles/secretmanager.secretAccessor) at the secret, project or higher level.",
                "The grant must be in effect before the revision starts: it, and a depends_on on it. One that is a few "
                "minutes old may not be yet; then apply again. "
                "https://cloud.google.com/run/docs/configuring/services/secrets",
            )
        )
    return secretmanager.value(cloud, project, full_name, version)


def _instances(volume: Object) -> list[str]:
    return [name for mount in objects(volume, "cloud_sql_instance") for name in strings(mount, "instances")]


def _open_socket_in_time(cloud: Cloud, account: str, connection_name: str) -> None:
    """Opens a socket as the container does, which tries again for a while."""
    deadline = time.monotonic() + cloud.circumstances.delays.patience
    while True:
        try:
            return _open_socket(cloud, account, connection_name)
        except Refused:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)


def _open_socket(cloud: Cloud, account: str, connection_name: str) -> None:
    sql.require_instance(cloud, connection_name)
    if not iam.allows(cloud, f"serviceAccount:{account}", "cloudsql.instances.connect", sql.target(connection_name)):
        raise Refused(
            Problem(
                "The user-provided container failed the configured startup probe checks. "
                f"The container cannot connect to Cloud SQL instance {connection_name}.",
                f"{account} needs the role roles/cloudsql.client on the project (a condition may narrow it to the "
                "instance), in effect when the revision starts: the grant, and a depends_on on it. One that is a few "
                "minutes old may not be yet; then apply again. https://cloud.google.com/sql/docs/postgres/connect-run",
            )
        )


def _log_in(cloud: Cloud, value: str, instances: list[str], account: str, reached: list[str]) -> None:
    """Uses a secret value that is a database address, by a mounted socket or in a network that the container is in.

    Without a user, the account logs in.
    """
    try:
        address = urlsplit(value)
        host = address.hostname if address.scheme.startswith(_DATABASES) else None
    except ValueError:
        return
    if host:
        there = [one for network in reached for one in networks.servers(cloud, network)]
        found = next((one for one in there if text(one, "private_ip_address") == host), None)
        if not found:
            raise Refused(
                Problem(
                    "The user-provided container failed the configured startup probe checks. "
                    f"The container cannot connect to {host}.",
                    "The template must be in the network of that address: vpc_access with its network and a subnet. "
                    "https://cloud.google.com/sql/docs/postgres/connect-run#private-ip",
                )
            )
        _log_in_to(cloud, text(found, "connection_name"), address, account)
    sockets = [
        socket for found in parse_qs(address.query).values() for socket in found if socket.startswith(_SQL_FOLDER)
    ]
    for socket in sockets:
        if socket.removeprefix(_SQL_FOLDER) not in instances:
            raise Refused(
                Problem(f"no socket {socket} in the container", "Mount the instance as a volume of the template.")
            )
        _log_in_to(cloud, socket.removeprefix(_SQL_FOLDER), address, account)


def _log_in_to(cloud: Cloud, connection_name: str, address: SplitResult, account: str) -> None:
    if address.username:
        sql_parts.log_in(cloud, connection_name, unquote(address.username), unquote(address.password or ""))
    else:
        sql_logins.log_in(cloud, connection_name, account)
