"""What keeps a Cloud Run revision from starting: everything that its instances need, as it is at that moment.

What a container would meet at its first step, its database login, is checked in the container's place.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from localcloud.model import Object, Problem, Refused, objects, strings, text
from localcloud.resource import Cloud, stable_number
from localcloud.services import artifactregistry, iam, secretmanager, sql

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_SQL_FOLDER = "/cloudsql/"  # where Cloud Run mounts the sockets of instances
_IMAGE_HOST = "-docker.pkg.dev"
_LATEST = "latest"


def start(cloud: Cloud, project: str, template: Object) -> None:
    """Starts a revision, as far as that can fail.

    Args:
        cloud: where it starts.
        project: the project of the service.
        template: the `template` block of google_cloud_run_v2_service.

    Raises:
        Refused: with every reason at once.
    """
    account = (
        text(template, "service_account") or f"{cloud.project_number(project)}-compute@developer.gserviceaccount.com"
    )
    problems: list[Problem] = []
    with _noting(problems):
        iam.require_account(cloud, account, project)
    for container in objects(template, "containers"):
        with _noting(problems):
            _find_image(cloud, project, text(container, "image"))
            cloud.platform.find_image(text(container, "image"))
    values: list[str] = []
    for secret, version in _secrets(template):
        with _noting(problems):
            values.append(_read_secret(cloud, project, account, secret, version))
    instances = [name for volume in objects(template, "volumes") for name in _instances(volume)]
    for connection_name in instances:
        with _noting(problems):
            _open_socket(cloud, account, connection_name)
    for value in () if problems else values:
        with _noting(problems):
            _log_in(cloud, value, instances)
    if problems:
        raise Refused(*(_not_ready(problem) for problem in problems))


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


def _not_ready(problem: Problem) -> Problem:
    return Problem(f"Revision is not ready and cannot serve traffic: {problem.summary}", problem.detail, ("template",))


def _find_image(cloud: Cloud, project: str, image: str) -> None:
    host, _, path = image.partition("/")
    owner, _, rest = path.partition("/")
    if not host.endswith(_IMAGE_HOST) or owner != project:
        return
    location, repository = host.removesuffix(_IMAGE_HOST), rest.partition("/")[0]
    names = {"project": owner, "location": location, "repository_id": repository}
    name = artifactregistry.Repository.id_format.format_map(names)
    if not cloud.store.get(artifactregistry.Repository.type, name):
        raise Refused(
            Problem(f"image {image!r} not found", f"There is no repository {name}: apply the stack that makes it.")
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
    full_name = secret if "/" in secret else f"projects/{project}/secrets/{secret}"
    if not iam.allows(
        cloud, f"serviceAccount:{account}", "secretmanager.versions.access", secretmanager.target(full_name)
    ):
        raise Refused(
            Problem(
                f"permission denied on secret {full_name}/versions/{version} for the service account {account}",
                "The account needs the role roles/secretmanager.secretAccessor on the secret or the project, in effect "
                "before the revision starts: the grant, and a depends_on on it. "
                "https://cloud.google.com/run/docs/configuring/services/secrets",
            )
        )
    return secretmanager.value(cloud, project, full_name, version)


def _instances(volume: Object) -> list[str]:
    return [name for mount in objects(volume, "cloud_sql_instance") for name in strings(mount, "instances")]


def _open_socket(cloud: Cloud, account: str, connection_name: str) -> None:
    sql.require_instance(cloud, connection_name)
    if not iam.allows(cloud, f"serviceAccount:{account}", "cloudsql.instances.connect", sql.target(connection_name)):
        raise Refused(
            Problem(
                f"permission denied on Cloud SQL instance {connection_name} for the service account {account}",
                "The account needs the role roles/cloudsql.client on the project (a condition may narrow it to the "
                "instance), in effect before the revision starts: the grant, and a depends_on on it. "
                "https://cloud.google.com/sql/docs/postgres/connect-run",
            )
        )


def _log_in(cloud: Cloud, value: str, instances: list[str]) -> None:
    """Uses a secret value that is a database address with a mounted socket."""
    try:
        address = urlsplit(value)
        password = unquote(address.password or "")
    except ValueError:
        return
    sockets = [
        socket for found in parse_qs(address.query).values() for socket in found if socket.startswith(_SQL_FOLDER)
    ]
    for socket in sockets:
        if socket.removeprefix(_SQL_FOLDER) not in instances:
            raise Refused(
                Problem(f"no socket {socket} in the container", "Mount the instance as a volume of the template.")
            )
        sql.connect(cloud, socket.removeprefix(_SQL_FOLDER), unquote(address.username or ""), password)
