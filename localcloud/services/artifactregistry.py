"""Artifact Registry: repositories of images. Left out: the images (a reference to one is taken at its word)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.model import Object, Problem, text
from localcloud.resource import Cloud, Resource, name_problem, now

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localcloud.model import Block


class Repository(Resource):
    """A repository in one region."""

    type = "google_artifact_registry_repository"
    api = "artifactregistry.googleapis.com"
    id_format = "projects/{project}/locations/{location}/repositories/{repository_id}"
    immutable = frozenset({"format", "kms_key_name", "location", "mode", "project", "repository_id"})
    assigned = frozenset({"create_time", "name", "update_time"})
    imports = (id_format, "{project}/{location}/{repository_id}", "{location}/{repository_id}", "{repository_id}")

    def check(self, values: Object) -> Iterator[Problem]:
        """Names as https://cloud.google.com/artifact-registry/docs/repositories/create-repos has them."""
        yield from name_problem(
            values,
            "repository_id",
            r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
            "At most 63 lower-case letters, digits and hyphens, a letter first: "
            "https://cloud.google.com/artifact-registry/docs/repositories/create-repos",
        )

    def known(self, cloud: Cloud, block: Block, values: Object) -> Object:
        """The provider's region stands in for a missing location."""
        return super().known(cloud, block, values) | {"location": values.get("location") or cloud.region}

    def changing(self, prior: Object, planned: Object) -> Sequence[str]:
        """The time of the last change."""
        del prior, planned
        return ("update_time",)

    def realize(self, cloud: Cloud, values: Object, config: Object, prior: Object | None) -> Object:
        """Gives it its times."""
        del cloud, config
        time = now()
        return {
            "create_time": text(prior, "create_time") or time,
            "name": text(values, "repository_id"),
            "update_time": time,
        }
