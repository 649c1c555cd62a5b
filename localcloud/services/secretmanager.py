"""Secret Manager: secrets, their numbered versions, and who may read them.

In answers, and so in conditions, a secret is named by its project's number, whatever it was asked for by; here all is
kept by its id. Values are in files outside every state (`Store.put_secret`). Left out: replication, rotation reminders,
expiry.
"""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from localcloud.resource import Api, Cloud, Resource, crud, name_problem, now, policy, protected
from localcloud.services import kms
from localcloud.services.iam import Member, Target
from localcloud.terraform.model import Object, Problem, Refused, Value, objects, text
from localcloud.terraform.schema import Corrections

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_API = Api("secretmanager.googleapis.com", "Secret Manager API")
_VERSION = "secretmanager.version"  # {name, secret, state}: the version as Google sees it; a destroyed one stays listed
_NUMBERING = threading.Lock()


class Secret(Resource):
    """A secret: a name for values."""

    type = "google_secret_manager_secret"
    api = _API
    permissions = crud("secretmanager.secrets")
    unset = frozenset({"effective_annotations"})
    id_format = "projects/{project}/secrets/{secret_id}"
    requires_replace = frozenset({"project", "secret_id"})
    defaults: ClassVar[Mapping[str, Value]] = {"deletion_protection": False}
    imports = (id_format, "{project}/{secret_id}", "{secret_id}")

    def validate(self, config: Object) -> Iterator[Problem]:
        """Names as https://cloud.google.com/secret-manager/docs/creating-and-accessing-secrets has them."""
        yield from name_problem(
            config,
            "secret_id",
            r"[A-Za-z0-9_-]{1,255}",
            "1-255 letters, digits, hyphens and underscores: "
            "https://cloud.google.com/secret-manager/docs/creating-and-accessing-secrets",
        )

    def replaced_by(self, prior: Object, planned: Object) -> list[str]:
        """Where it is cannot change; its key can: https://cloud.google.com/secret-manager/docs/cmek."""
        moved = [_locations(one) for one in (prior, planned)]
        return [*super().replaced_by(prior, planned), *(["replication"] if moved[0] != moved[1] else [])]

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Its name has the project's number."""
        del config
        return {"create_time": now(), "name": by_number(cloud, self.identify(planned))}

    @override
    def conflict(self, cloud: Cloud, values: Object) -> str:
        name = by_number(cloud, self.identify(values))
        return f"Error creating Secret: googleapi: Error 409: Secret [{name}] already exists."

    def delete(self, cloud: Cloud, values: Object) -> None:
        """Its versions, disabled ones too, go with it. Protection is off by default."""
        if values.get("deletion_protection") is True:
            raise protected(
                f"cannot destroy secret {self.identify(values)} without setting deletion_protection=false and running "
                "`terraform apply`",
                "deletion_protection",
            )
        for version in _versions(cloud, self.identify(values)):
            cloud.store.remove_secret(text(version, "name"))
            cloud.store.remove(_VERSION, text(version, "name"))


class SecretVersion(Resource):
    """A value of a secret; it never changes, and its number is never given again."""

    type = "google_secret_manager_secret_version"
    api = _API
    permissions: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "create": ("secretmanager.versions.add",),
        "update": ("secretmanager.versions.enable", "secretmanager.versions.disable"),
        "delete": ("secretmanager.versions.disable",),
        "read": ("secretmanager.versions.get",),
    }
    corrections = Corrections(sensitive=frozenset({"secret_data"}))
    requires_replace = frozenset({"is_secret_data_base64", "secret", "secret_data", "secret_data_wo_version"})
    defaults: ClassVar[Mapping[str, Value]] = {
        "deletion_policy": "DELETE",
        "enabled": True,
        "is_secret_data_base64": False,
    }

    def identify(self, values: Object) -> str:
        """SECRET/versions/NUMBER, by the project's number; before it is known, nothing that exists has this id."""
        return text(values, "name") or f"{text(values, 'secret')}/versions/new"

    def key(self, values: Object) -> str:
        """The same by the project's id, as the secret is kept."""
        return _kept_name(values)

    @override
    def owner(self, values: Object) -> tuple[str, str]:
        return Secret.type, text(values, "secret")

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """The secret must exist, and there must be a value."""
        if not cloud.store.get(Secret.type, text(planned, "secret")):
            raise _not_found(cloud, text(planned, "secret"))
        if _payload(config) is None:
            raise Refused(Problem("Error 400: no secret data", "Set secret_data_wo (it stays out of the state)."))
        require_keys(cloud, text(planned, "secret"))

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Writes the value under the next number, or under that of a try whose answer was lost."""
        secret = text(planned, "secret")
        with _NUMBERING:
            lost = [version for version in cloud.store.unanswered(self.type) if text(version, "secret") == secret]
            name = _kept_name(lost[0]) if lost else f"{secret}/versions/{len(_versions(cloud, secret)) + 1}"
            cloud.store.put_secret(name, _payload(config) or "")
            _set_state(cloud, name, _state_of(planned))
        number = name.rpartition("/")[2]
        return {"create_time": now(), "destroy_time": "", "name": by_number(cloud, name), "version": number}

    def update(self, cloud: Cloud, planned: Object, config: Object, prior: Object) -> Object:
        """Enables or disables it."""
        del config, prior
        _set_state(cloud, _kept_name(planned), _state_of(planned))
        return {}

    def delete(self, cloud: Cloud, values: Object) -> None:
        """Destroys the value, disables it, or leaves it, as `deletion_policy` says."""
        name, policy = _kept_name(values), text(values, "deletion_policy")
        if policy == "ABANDON":
            return
        if policy == "DELETE":
            cloud.store.remove_secret(name)
        _set_state(cloud, name, "DISABLED" if policy == "DISABLE" else "DESTROYED")


class SecretMember(Member):
    """A role on one secret."""

    type = "google_secret_manager_secret_iam_member"
    api = _API
    permissions = policy("secretmanager.secrets")
    target = "secret_id"

    def target_name(self, values: Object) -> str:
        """The secret's full name; the short one is allowed too."""
        secret = text(values, "secret_id")
        return secret if "/" in secret else f"projects/{text(values, 'project')}/secrets/{secret}"

    @override
    def owner(self, values: Object) -> tuple[str, str]:
        return Secret.type, self.target_name(values)

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """The secret must exist."""
        super().precheck(cloud, planned, config)
        if not cloud.store.get(Secret.type, self.target_name(planned)):
            raise _not_found(cloud, self.target_name(planned))


def by_number(cloud: Cloud, name: str) -> str:
    """The name of a secret or a version with its project's number instead of the id."""
    _, project, rest = name.split("/", 2)
    return f"projects/{cloud.project_number(project)}/{rest}"


def full_name(cloud: Cloud, project: str, secret: str) -> str:
    """The full name of a secret by its project's id.

    Args:
        cloud: where the secret is.
        project: the project of who names it.
        secret: its id, or its full name by the id or the number of the project.
    """
    if "/" not in secret:
        return f"projects/{project}/secrets/{secret}"
    own = f"projects/{cloud.project_number(project)}/"
    return f"projects/{project}/{secret.removeprefix(own)}" if secret.startswith(own) else secret


def target(cloud: Cloud, secret: str) -> Target:
    """A secret, for `iam.allows`; `secret` is its full name."""
    return Target(
        project=secret.split("/")[1],
        name=by_number(cloud, secret),
        type=f"{_API.name}/Secret",
        member_type=SecretMember.type,
        member_key=secret,
    )


def version_name(cloud: Cloud, project: str, secret: str, version: str) -> str:
    """The full name of a version that can be read.

    Args:
        cloud: where the secret is.
        project: the project of who asks, for a secret that is named by its id alone.
        secret: as for `full_name`.
        version: a number, or `latest`.

    Raises:
        Refused: there is no such version, or it is not enabled.
    """
    secret = full_name(cloud, project, secret)
    if version == "latest":
        version = str(len(_versions(cloud, secret)))
    name = f"{secret}/versions/{version}"
    state = text(cloud.store.get(_VERSION, name), "state")
    if state != "ENABLED":
        shown = by_number(cloud, name)
        found = f"[{shown}] is in {state} state." if state else f"[{shown}] not found or has no versions."
        raise Refused(Problem(f"Secret Version {found}", "Name a version that is enabled, by its number."))
    return name


def value(cloud: Cloud, project: str, secret: str, version: str) -> str:
    """The value of a version; the arguments and the refusals are those of `version_name`."""
    name = version_name(cloud, project, secret, version)
    require_keys(cloud, name.rpartition("/versions/")[0])
    return cloud.store.secret(name) or ""


def require_keys(cloud: Cloud, secret: str) -> None:
    """Refuses a secret whose key its service's agent may not use: a value can be neither written nor read.

    That a value written before the secret had the key is still readable without it is left out.

    Raises:
        Refused: https://cloud.google.com/secret-manager/docs/cmek
    """
    found = cloud.store.get(Secret.type, secret) or {}
    project = text(found, "project")
    for location, key in _locations_and_keys(found):
        kms.require_use(cloud, key, service="secretmanager", project=project, location=location)


def _locations_and_keys(secret: Object) -> list[tuple[str, str]]:
    return [
        (text(replica, "location"), text(replica, "customer_managed_encryption", 0, "kms_key_name"))
        for replication in objects(secret, "replication")
        for managed in objects(replication, "user_managed")
        for replica in objects(managed, "replicas")
    ]


def _locations(secret: Object) -> list[str]:
    return [location for location, _ in _locations_and_keys(secret)]


def _payload(config: Object) -> str | None:
    for name in ("secret_data_wo", "secret_data"):
        value = config.get(name)
        if isinstance(value, str):
            return base64.b64decode(value).decode() if config.get("is_secret_data_base64") is True else value
    return None


def _kept_name(version: Object) -> str:
    return f"{text(version, 'secret')}/versions/{text(version, 'version') or 'new'}"


def _state_of(version: Object) -> str:
    return "DISABLED" if version.get("enabled") is False else "ENABLED"


def _set_state(cloud: Cloud, name: str, state: str) -> None:
    cloud.store.put(_VERSION, name, {"name": name, "secret": name.rpartition("/versions/")[0], "state": state})


def _versions(cloud: Cloud, secret: str) -> list[Object]:
    return [version for version in cloud.store.all(_VERSION) if text(version, "secret") == secret]


def _not_found(cloud: Cloud, secret: str) -> Refused:
    message = f"googleapi: Error 404: Secret [{by_number(cloud, secret)}] not found."
    return Refused(Problem(message, "Make it first, and refer to it by its id."))
