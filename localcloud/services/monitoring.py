"""Cloud Monitoring: notification channels and uptime checks.

Left out: the verification of channels, checks of groups and of functions. What is asked and measured is the platform's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from localcloud.resource import Api, Cloud, Resource, crud, stable_number
from localcloud.services.metrics import RESOURCES
from localcloud.terraform.model import Object, Problem, Refused, Value, at, objects, strings, text
from localcloud.terraform.schema import Corrections

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localcloud.resource import ApiDefault

API = Api("monitoring.googleapis.com", "Cloud Monitoring API")
ALERT_POLICY = "google_monitoring_alert_policy"
UPTIME = "monitoring.uptime"
"""Under which the last answers to uptime checks are remembered, by the names of the checks."""
_MANY_LOCATIONS = {"USA": 3}
_FEWEST_LOCATIONS = 3
_LONGEST_CHECK_S = 60
_MASK = "******"
_PERIODS = ("60s", "300s", "600s", "900s")
_CHECKS = "https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.uptimeCheckConfigs"


class Assigned(Resource):
    """Something whose name Monitoring chooses: `projects/PROJECT/COLLECTION/NUMBER`."""

    api = API
    id_format = "{name}"
    collection: ClassVar[str]

    def key(self, values: Object) -> str:
        """The name; until it is known what it is displayed as: two of a kind are made one after the other."""
        if "number" in values:  # of an import
            return f"projects/{text(values, 'project')}/{self.collection}/{text(values, 'number')}"
        return text(values, "name") or f"new {text(values, 'project')}/{text(values, 'display_name')}"

    def name(self, cloud: Cloud, values: Object) -> str:
        """A name that nobody has; one whose maker was never told of it is taken over by another that looks the same."""
        project, shown = text(values, "project"), text(values, "display_name")
        for lost in cloud.store.unanswered(self.type):
            if text(lost, "project") == project and text(lost, "display_name") == shown:
                return text(lost, "name")
        count = 0
        while True:
            number = stable_number(self.type, project, shown, str(count), digits=19)
            name = f"projects/{project}/{self.collection}/{number}"
            if cloud.store.get(self.type, name) is None:
                return name
            count += 1


class NotificationChannel(Assigned):
    """Where alerts are sent."""

    type = "google_monitoring_notification_channel"
    permissions = crud("monitoring.notificationChannels")
    collection = "notificationChannels"
    imports = ("projects/{project}/notificationChannels/{number}",)
    requires_replace = frozenset({"project"})
    defaults: ClassVar[Mapping[str, Value]] = {"enabled": True, "force_delete": False}
    state_only = frozenset({"sensitive_labels"})
    corrections = Corrections(
        sensitive=frozenset(f"sensitive_labels.{name}" for name in ("auth_token", "password", "service_key"))
    )

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """An e-mail channel has an address: https://cloud.google.com/monitoring/support/notification-options."""
        del cloud, config
        address = text(planned, "labels", "email_address")
        if planned.get("type") == "email" and "@" not in address:
            message = "Field \"notification_channel.labels['email_address']\" is missing or no e-mail address"
            raise Refused(
                Problem(
                    f"Error creating NotificationChannel: googleapi: Error 400: {message}.",
                    'Set labels = { email_address = "you@example.com" }.',
                    ("labels",),
                )
            )

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Its name; an address needs no verification by this interface."""
        del config
        return {"name": self.name(cloud, planned), "verification_status": ""}

    def delete(self, cloud: Cloud, values: Object) -> None:
        """One that a policy names stays, unless `force_delete` is true: then the policies lose it."""
        name = text(values, "name")
        for policy in cloud.store.all(ALERT_POLICY):
            channels = strings(policy, "notification_channels")
            if name not in channels:
                continue
            if values.get("force_delete") is not True:
                # https://github.com/hashicorp/terraform-provider-google/issues/10337
                raise Refused(
                    Problem(
                        "Error when reading or editing NotificationChannel: googleapi: Error 400: Could not delete "
                        f'"{name}" because it is still being referenced by: "{text(policy, "name")}"',
                        "Take it out of the policy in an apply before, or set force_delete = true in one.",
                    )
                )
            policy["notification_channels"] = [channel for channel in channels if channel != name]
            cloud.store.put(ALERT_POLICY, text(policy, "name"), policy)
            cloud.store.mark_answered(ALERT_POLICY, text(policy, "name"))


class UptimeCheck(Assigned):
    """A request that is sent from several places of the world, again and again."""

    type = "google_monitoring_uptime_check_config"
    permissions = crud("monitoring.uptimeCheckConfigs")
    collection = "uptimeCheckConfigs"
    imports = ("projects/{project}/uptimeCheckConfigs/{number}",)
    requires_replace = frozenset({"checker_type", "monitored_resource", "project", "resource_group"})
    defaults: ClassVar[Mapping[str, Value]] = {
        "content_matchers.matcher": "CONTAINS_STRING",
        "http_check.path": "/",
        "http_check.request_method": "GET",
        "period": "300s",
    }
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        "checker_type": "STATIC_IP_CHECKERS",
        "http_check.headers": {},
        "http_check.port": lambda check: 443 if at(check, "http_check", 0, "use_ssl") is True else 80,
    }
    corrections = Corrections(sensitive=frozenset({"http_check.auth_info.password"}))

    def replaced_by(self, prior: Object, planned: Object) -> list[str]:
        """The method of the request cannot be changed either."""
        method = ("http_check", 0, "request_method")
        changed = at(prior, *method) != at(planned, *method)
        return [*super().replaced_by(prior, planned), *(["http_check"] if changed else [])]

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """Monitoring's checks: https://cloud.google.com/monitoring/uptime-checks."""
        del cloud, config
        problems = [
            Problem(f"Error creating UptimeCheckConfig: googleapi: Error 400: {message}", _CHECKS, (attribute,))
            for attribute, message in _problems_of(planned)
        ]
        if problems:
            raise Refused(*problems)

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Its name, and the last part of it."""
        del config
        name = self.name(cloud, planned)
        return {"name": name, "uptime_check_id": name.rpartition("/")[2]}

    def read(self, values: Object) -> Object:
        """Headers that are masked come back as asterisks, and a body with its length."""
        checks: list[Value] = []
        for check in objects(values, "http_check"):
            headers = check.get("headers")
            shown: Object = {**headers} if isinstance(headers, dict) else {}
            length = {"Content-Length": str(len(text(check, "body")))} if text(check, "body") else {}
            if check.get("mask_headers") is True:
                shown = dict.fromkeys((*shown, *length), _MASK)
            checks.append({**check, "headers": shown})
        return {**super().read(values), "http_check": checks}

    def delete(self, cloud: Cloud, values: Object) -> None:
        """One that a policy watches stays: https://github.com/GoogleCloudPlatform/magic-modules/pull/9429."""
        check = text(values, "uptime_check_id")
        for policy in cloud.store.all(ALERT_POLICY):
            if f'"{check}"' in "".join(
                text(condition, kind, 0, "filter")
                for condition in objects(policy, "conditions")
                for kind in ("condition_absent", "condition_threshold")
            ):
                raise Refused(
                    Problem(
                        "Error when reading or editing UptimeCheckConfig: googleapi: Error 400: Request contains an "
                        "invalid argument.",
                        f"The alert policy {text(policy, 'display_name')!r} watches it: delete that before. A "
                        "check that is replaced needs create_before_destroy.",
                    )
                )

    def forget(self, cloud: Cloud, values: Object) -> None:
        """Forgets the answers."""
        cloud.store.remove(UPTIME, text(values, "name"))


def _problems_of(check: Object) -> Iterator[tuple[str, str]]:
    period, timeout = text(check, "period"), text(check, "timeout")
    if period and period not in _PERIODS:
        yield "period", f"Field period had an invalid value of {period!r}: it must be one of {', '.join(_PERIODS)}"
    seconds = timeout.removesuffix("s")
    if not (seconds.isdecimal() and 1 <= int(seconds) <= _LONGEST_CHECK_S):
        yield "timeout", f"Field timeout had an invalid value of {timeout!r}: it must be between 1s and 60s"
    regions = strings(check, "selected_regions")
    if regions and sum(_MANY_LOCATIONS.get(region, 1) for region in regions) < _FEWEST_LOCATIONS:
        yield (
            "selected_regions",
            "Field selected_regions had an invalid value: at least three locations must be selected",
        )
    for resource in objects(check, "monitored_resource"):
        found, kind = resource.get("labels"), text(resource, "type")
        labels = set(found) if isinstance(found, dict) else set[str]()
        if kind == "uptime_url" and "host" not in labels:
            yield "monitored_resource", "Field monitored_resource.labels is missing host"
        wrong = labels - set(RESOURCES.get(kind, labels))
        if wrong:
            names = ", ".join(sorted(wrong))
            yield "monitored_resource", f"Field monitored_resource.labels has unknown labels: {names}"
    for http in objects(check, "http_check"):
        if text(http, "body") and text(http, "request_method") != "POST":
            yield "http_check", "Field http_check.body must be empty when the request method is GET"
