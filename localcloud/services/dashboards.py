"""Cloud Monitoring: dashboards.

Left out: whether what the widgets of a dashboard show exists.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, cast

from localcloud.resource import Cloud, Resource, crud, now, stable_number
from localcloud.services.monitoring import API
from localcloud.terraform.model import Object, Problem, Refused, Value, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def _with_name(source: str, name: str, version: str) -> str:
    dashboard = _completed(json.loads(source))
    return json.dumps({**dashboard, "etag": stable_number(name, version, digits=12), "name": name}, sort_keys=True)


def _canonical(values: Object) -> str:
    """A dashboard without what Monitoring adds, for comparison."""
    try:
        dashboard = _completed(json.loads(text(values, "dashboard_json")))
    except ValueError:
        return text(values, "dashboard_json")
    return json.dumps(
        {name: value for name, value in dashboard.items() if name not in {"etag", "name"}}, sort_keys=True
    )


def _completed(part: Any) -> Any:  # noqa: ANN401 - JSON
    """Google's defaults of widgets: the axis of a data set, the style of a text."""
    if isinstance(part, list):
        return [_completed(item) for item in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    found = {name: _completed(value) for name, value in cast("dict[str, Any]", part).items()}
    if "timeSeriesQuery" in found and "plotType" in found:
        found.setdefault("targetAxis", 1 if isinstance(found["plotType"], int) else "Y1")
    if isinstance(found.get("text"), dict):
        found["text"].setdefault("style", {})
    return found


class Dashboard(Resource):
    """A dashboard, as JSON."""

    type = "google_monitoring_dashboard"
    api = API
    permissions = crud("monitoring.dashboards")
    requires_replace = frozenset({"project"})
    imports = ("projects/{project}/dashboards/{number}",)
    normalized: ClassVar[Mapping[str, Callable[[Object], Value]]] = {"dashboard_json": _canonical}

    def key(self, values: Object) -> str:
        """The name that the interface gives it, by the project's number."""
        if "number" in values:  # of an import
            return f"projects/{text(values, 'project')}/dashboards/{text(values, 'number')}"
        return text(values, "id") or f"new {text(values, 'project')}/{text(values, 'dashboard_json')}"

    def identify(self, values: Object) -> str:
        """The same."""
        return text(values, "id")

    def validate(self, config: Object) -> Iterator[Problem]:
        """It is JSON."""
        source = config.get("dashboard_json")
        if isinstance(source, str):
            try:
                json.loads(source)
            except ValueError as error:
                yield Problem(f'"dashboard_json" contains an invalid JSON: {error}', "", ("dashboard_json",))

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """It has a name to be shown, and one layout."""
        del cloud, config
        dashboard = json.loads(text(planned, "dashboard_json"))
        layouts = {"columnLayout", "gridLayout", "mosaicLayout", "rowLayout"} & dashboard.keys()
        wrong = "displayName" if not dashboard.get("displayName") else "layout" if len(layouts) != 1 else ""
        if wrong:
            raise Refused(
                Problem(
                    f"Error creating Dashboard: googleapi: Error 400: Field {wrong} is missing or has an invalid value",
                    "https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.dashboards",
                    ("dashboard_json",),
                )
            )

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Its name is the one in the JSON, or one that is assigned; by the number of the project in any case."""
        del config
        project, source = text(planned, "project"), text(planned, "dashboard_json")
        asked = str(json.loads(source).get("name") or "").rpartition("/")[2]
        number = asked or stable_number(self.type, project, source, digits=19)
        name = f"projects/{cloud.project_number(project)}/dashboards/{number}"
        return {"id": name, "dashboard_json": _with_name(source, name, now())}

    def update(self, cloud: Cloud, planned: Object, config: Object, prior: Object) -> Object:
        """The name stays."""
        del cloud, config
        name = text(prior, "id")
        return {"id": name, "dashboard_json": _with_name(text(planned, "dashboard_json"), name, now())}

    def read(self, values: Object) -> Object:
        """As it was written, with what was added to it."""
        return values
