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
    id_format = "{project}/{service}"
    immutable = frozenset({"project", "service"})
    imports = ("{project}/{service}",)
    defaults: ClassVar[Mapping[str, Value]] = {"disable_on_destroy": True}
    late = True
    idempotent = True

    def check(self, values: Object) -> Iterator[Problem]:
        """An API's name is a host name."""
        yield from name_problem(
            values,
            "service",
            r"[a-z0-9-]+(\.[a-z0-9-]+)+",
            "Name it like run.googleapis.com; `gcloud services list --available` lists them.",
        )

    def realize(self, cloud: Cloud, values: Object, config: Object, prior: Object | None) -> Object:
        """Enables it."""
        del config, prior
        if not cloud.store.get(ENABLED_API, self.identify(values)):
            note_time(cloud, self.identify(values))
        cloud.store.put(ENABLED_API, self.identify(values), {"id": self.identify(values)})
        return {}

    def remove(self, cloud: Cloud, values: Object) -> None:
        """Disables it, unless that is switched off; the provider's default is on."""
        if values.get("disable_on_destroy") is not False:
            cloud.store.remove(ENABLED_API, self.identify(values))
