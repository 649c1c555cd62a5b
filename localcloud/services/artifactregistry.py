"""Artifact Registry: repositories of images, and who may read them.

Left out: the images (a reference to one is taken at its word).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from localcloud.resource import Api, Cloud, Resource, crud, name_problem, now, policy
from localcloud.services import kms
from localcloud.services.iam import Member, Target
from localcloud.terraform.model import Object, Problem, Value, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localcloud.resource import ApiDefault
    from localcloud.terraform.model import Block

_API = Api("artifactregistry.googleapis.com", "Artifact Registry API")
_KIND = "artifactregistry.repositories"

_IMAGE_HOST = "-docker.pkg.dev"


class Repository(Resource):
    """A repository in one region."""

    type = "google_artifact_registry_repository"
    api = _API
    permissions = crud(_KIND)
    id_format = "projects/{project}/locations/{location}/repositories/{repository_id}"
    requires_replace = frozenset({"format", "kms_key_name", "location", "mode", "project", "repository_id"})
    defaults: ClassVar[Mapping[str, Value]] = {"mode": "STANDARD_REPOSITORY"}
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        "vulnerability_scanning_config": [
            {
                "enablement_config": "",
                "enablement_state": "SCANNING_DISABLED",
                "enablement_state_reason": "API containerscanning.googleapis.com is not enabled.",
                "last_enable_time": "",
            }
        ]
    }
    imports = (id_format, "{project}/{location}/{repository_id}", "{location}/{repository_id}", "{repository_id}")

    def validate(self, config: Object) -> Iterator[Problem]:
        """Names as https://cloud.google.com/artifact-registry/docs/repositories/create-repos has them."""
        yield from name_problem(
            config,
            "repository_id",
            r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
            "At most 63 lower-case letters, digits and hyphens, a letter first: "
            "https://cloud.google.com/artifact-registry/docs/repositories/create-repos",
        )

    def known(self, cloud: Cloud, block: Block, values: Object) -> Object:
        """The provider's region stands in for a missing location."""
        return super().known(cloud, block, values) | {"location": values.get("location") or cloud.region}

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """Its key must be one that the service may use: https://cloud.google.com/artifact-registry/docs/cmek."""
        del config
        where = {"project": text(planned, "project"), "location": text(planned, "location")}
        kms.require_use(cloud, text(planned, "kms_key_name"), service="artifactregistry", **where)

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Its times, and where it is; unlike the id, `name` is the short one.

        Only versions 7 and later of the provider have `registry_uri`.
        """
        del cloud, config
        time, name = now(), text(planned, "repository_id")
        address = f"{text(planned, 'location')}{_IMAGE_HOST}/{text(planned, 'project')}/{name}"
        return {"create_time": time, "name": name, "registry_uri": address, "update_time": time}

    def update(self, cloud: Cloud, planned: Object, config: Object, prior: Object) -> Object:
        """Returns the time, the only computed attribute that changes."""
        del cloud, planned, config, prior
        return {"update_time": now()}


class RepositoryMember(Member):
    """A role on one repository."""

    type = "google_artifact_registry_repository_iam_member"
    api = _API
    permissions = policy(_KIND)
    target = "repository"

    def target_name(self, values: Object) -> str:
        """The repository's full name; the short one is allowed too."""
        name = text(values, "repository")
        parts = {part: text(values, part) for part in ("project", "location")}
        return name if "/" in name else Repository.id_format.format(**parts, repository_id=name)

    @override
    def owner(self, values: Object) -> tuple[str, str]:
        return Repository.type, self.target_name(values)


def target(project: str, repository: str) -> Target:
    """A repository of a project, for `iam.allows`; `repository` is its full name."""
    return Target(
        project=project,
        name=repository,
        type="artifactregistry.googleapis.com/Repository",
        member_type=RepositoryMember.type,
        member_key=repository,
    )
