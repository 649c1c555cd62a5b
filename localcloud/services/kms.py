"""Cloud KMS: rings, keys, who may use them, and what the services do with the keys that they are given.

Nothing here is encrypted: it is only looked at whether the agent of the service may use the key. Left
out: what a version holds, rotation, keys that are imported or in hardware, and that an agent exists only once somebody
asked for it (`gcloud beta services identity create`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from localcloud.resource import Api, Cloud, Resource, crud, name_problem, policy
from localcloud.services.iam import Member, Target, allows
from localcloud.terraform.model import Object, Problem, Refused, Value, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localcloud.resource import ApiDefault

_API = Api("cloudkms.googleapis.com", "Cloud Key Management Service (KMS) API")
_TAKEN = "kms.taken"  # the ids of rings and keys that Terraform destroyed, which Google never gives again
_NAMES = "https://cloud.google.com/kms/docs/getting-resource-ids"
_CMEK = "https://cloud.google.com/kms/docs/cmek"

AGENTS = {
    "artifactregistry": "gcp-sa-artifactregistry",
    "run": "serverless-robot-prod",
    "secretmanager": "gcp-sa-secretmanager",
    "sqladmin": "gcp-sa-cloud-sql",
    "storage": "gs-project-accounts",
}
"""The domain of each service's agent: https://cloud.google.com/iam/docs/service-agents."""


class _Kept(Resource):
    """An object that Google never deletes: Terraform forgets it, and its name stays taken."""

    api = _API

    @override
    def validate(self, config: Object) -> Iterator[Problem]:
        yield from name_problem(config, "name", r"[A-Za-z0-9_-]{1,63}", f"1-63 letters, digits, - and _: {_NAMES}")

    @override
    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        del config
        if cloud.store.get(_TAKEN, self.key(planned)):
            raise Refused(Problem(self.conflict(cloud, planned), "Its name stays taken for ever: choose another one."))
        return {}

    @override
    def delete(self, cloud: Cloud, values: Object) -> None:
        cloud.store.put(_TAKEN, self.key(values), {"id": self.key(values)})


class KeyRing(_Kept):
    """A ring: a place for keys, in one location."""

    type = "google_kms_key_ring"
    permissions = crud("cloudkms.keyRings", delete=("cloudkms.keyRings.get",))
    id_format = "projects/{project}/locations/{location}/keyRings/{name}"
    requires_replace = frozenset({"location", "name", "project"})
    imports = (id_format, "{project}/{location}/{name}", "{location}/{name}")

    @override
    def conflict(self, cloud: Cloud, values: Object) -> str:
        del cloud
        return f"Error creating KeyRing: googleapi: Error 409: KeyRing {self.identify(values)} already exists."


class CryptoKey(_Kept):
    """A key. Destroying it destroys its versions: what they encrypt is lost."""

    type = "google_kms_crypto_key"
    permissions = crud("cloudkms.cryptoKeys", delete=("cloudkms.cryptoKeyVersions.destroy",))
    id_format = "{key_ring}/cryptoKeys/{name}"
    requires_replace = frozenset({"destroy_scheduled_duration", "import_only", "key_ring", "name", "purpose"})
    defaults: ClassVar[Mapping[str, Value]] = {"purpose": "ENCRYPT_DECRYPT"}
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        "crypto_key_backend": "",
        "destroy_scheduled_duration": "2592000s",
        "import_only": False,
        "version_template": [{"algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION", "protection_level": "SOFTWARE"}],
    }
    imports = ("{key_ring}/cryptoKeys/{name}",)

    @override
    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        del config
        if not cloud.store.get(KeyRing.type, text(planned, "key_ring")):
            raise _not_found("KeyRing", text(planned, "key_ring"))

    @override
    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        super().create(cloud, planned, config)
        return {"primary": [{"name": f"{self.identify(planned)}/cryptoKeyVersions/1", "state": "ENABLED"}]}

    @override
    def conflict(self, cloud: Cloud, values: Object) -> str:
        del cloud
        return f"Error creating CryptoKey: googleapi: Error 409: CryptoKey {self.identify(values)} already exists."


class CryptoKeyMember(Member):
    """A role on one key."""

    type = "google_kms_crypto_key_iam_member"
    api = _API
    permissions = policy("cloudkms.cryptoKeys")
    target = "crypto_key_id"

    @override
    def target_name(self, values: Object) -> str:
        return text(values, "crypto_key_id")

    @override
    def owner(self, values: Object) -> tuple[str, str]:
        return CryptoKey.type, self.target_name(values)

    @override
    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        super().precheck(cloud, planned, config)
        if not cloud.store.get(CryptoKey.type, self.target_name(planned)):
            raise _not_found("CryptoKey", self.target_name(planned))


def agent_of(cloud: Cloud, project: str, service: str) -> str:
    """The address of a service's agent in a project."""
    return f"service-{cloud.project_number(project)}@{AGENTS[service]}.iam.gserviceaccount.com"


def require_use(cloud: Cloud, key: str, *, service: str, project: str, location: str) -> None:
    """Refuses what a service cannot encrypt, or decrypt, with a key; nothing where no key is named.

    Args:
        cloud: where.
        key: the key's full name, or "".
        service: the service's API, without its domain.
        project: the project of what is encrypted.
        location: its location.

    Raises:
        Refused: https://cloud.google.com/kms/docs/cmek
    """
    if not key:
        return
    if f"/locations/{location.lower()}/" not in key:
        raise Refused(Problem(f"Error 400: the key {key} is not in {location.lower()}", f"Name a key there. {_CMEK}"))
    agent, target = agent_of(cloud, project, service), _target(key)
    known = cloud.store.get(CryptoKey.type, key)
    for verb in ("useToEncrypt", "useToDecrypt"):
        permission = f"cloudkms.cryptoKeyVersions.{verb}"
        if not known or not allows(cloud, f"serviceAccount:{agent}", permission, target):
            raise Refused(
                Problem(
                    f"googleapi: Error 403: Permission '{permission}' denied on resource '{key}' (or it may not "
                    f"exist). The key is used by {agent}.",
                    f"Make the key, and grant this agent roles/cloudkms.cryptoKeyEncrypterDecrypter on it. {_CMEK}",
                )
            )


def _target(key: str) -> Target:
    return Target(
        project=key.split("/")[1],
        name=key,
        type="cloudkms.googleapis.com/CryptoKey",
        member_type=CryptoKeyMember.type,
        member_key=key,
    )


def _not_found(kind: str, name: str) -> Refused:
    return Refused(Problem(f"googleapi: Error 404: {kind} {name} not found.", "Make it first, and refer to its id."))
