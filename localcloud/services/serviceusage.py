"""Service Usage: which APIs a project has enabled.

Left out: that some APIs enable others, and `disable_dependent_services`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from localcloud.resource import ENABLED_API, Cloud, Resource, name_problem, note_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localcloud.terraform.model import Object, Problem, Value


class ProjectService(Resource):
    """An enabled API. Enabling takes effect late: https://cloud.google.com/service-usage/docs/enable-disable."""

    type = "google_project_service"
    permissions: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "create": ("serviceusage.services.enable",),
        "update": (),
        "delete": ("serviceusage.services.disable",),
        "read": ("serviceusage.services.list",),
    }
    id_format = "{project}/{service}"
    requires_replace = frozenset({"project", "service"})
    imports = ("{project}/{service}",)
    defaults: ClassVar[Mapping[str, Value]] = {"disable_on_destroy": True}
    late = True
    idempotent = True

    def validate(self, config: Object) -> Iterator[Problem]:
        """An API's name is a host name."""
        yield from name_problem(
            config,
            "service",
            r"[a-z0-9-]+(\.[a-z0-9-]+)+",
            "Name it like run.googleapis.com; `gcloud services list --available` lists them.",
        )

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Notes since when the API is enabled, unless it is already."""
        del config
        name = self.identify(planned)
        if not cloud.store.get(ENABLED_API, name):
            note_time(cloud, name)
        cloud.store.put(ENABLED_API, name, {"id": name})
        return {}

    def delete(self, cloud: Cloud, values: Object) -> None:
        """The API stays enabled where `disable_on_destroy` is false; the provider's default is true."""
        if values.get("disable_on_destroy") is not False:
            cloud.store.remove(ENABLED_API, self.identify(values))
