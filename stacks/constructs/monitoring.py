"""Alerts, a dashboard and an uptime check for one tracking server."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cdktf import ITerraformDependable, TerraformResourceLifecycle, Token
from cdktf_cdktf_provider_google.monitoring_alert_policy import (
    MonitoringAlertPolicy,
    MonitoringAlertPolicyAlertStrategy,
    MonitoringAlertPolicyAlertStrategyNotificationRateLimit,
    MonitoringAlertPolicyConditions,
    MonitoringAlertPolicyConditionsConditionMatchedLog,
    MonitoringAlertPolicyConditionsConditionThreshold,
    MonitoringAlertPolicyConditionsConditionThresholdAggregations,
    MonitoringAlertPolicyDocumentation,
)
from cdktf_cdktf_provider_google.monitoring_dashboard import MonitoringDashboard
from cdktf_cdktf_provider_google.monitoring_notification_channel import MonitoringNotificationChannel
from cdktf_cdktf_provider_google.monitoring_uptime_check_config import (
    MonitoringUptimeCheckConfig,
    MonitoringUptimeCheckConfigHttpCheck,
    MonitoringUptimeCheckConfigHttpCheckAcceptedResponseStatusCodes,
    MonitoringUptimeCheckConfigMonitoredResource,
)
from constructs import Construct

from stacks import addresses, mlflow
from stacks.alerts import LOG_ENTRIES, PERIOD_S, THRESHOLDS, UPTIME
from stacks.constructs.dashboard import dashboard
from stacks.constructs.expressions import local, number, string
from stacks.inputs import InstanceInputs, Placement
from stacks.resources import pin
from stacks.settings.monitoring import Monitoring as Settings
from stacks.settings.service import Service

_CONNECTIONS: Final = {
    "mysql": "cloudsql.googleapis.com/database/network/connections",
    "postgresql": "cloudsql.googleapis.com/database/postgresql/num_backends",
}
_UPTIME_PERIOD: Final = "1200s"
"""As Google's own alerts on uptime checks: https://cloud.google.com/monitoring/alerts/uptime-checks"""


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitoringConfig:
    """Inputs of monitoring; strings may be Terraform tokens.

    Attributes:
        service: Whose limits are watched.
        url: Where the service is asked from outside.
        answering: What must be there before anything answers.
    """

    inputs: Settings
    placement: Placement
    instance: InstanceInputs
    service: Service
    url: str
    answering: Sequence[ITerraformDependable]


class Monitoring(Construct):
    """Notifies somebody when something is wrong; nothing where it is not enabled."""

    def __init__(self, scope: Construct, id_: str, *, config: MonitoringConfig) -> None:
        super().__init__(scope, id_)
        self._config = config
        self._prefix = config.placement.prefix
        self._enabled = f"nonsensitive({self._local('monitoring_enabled', config.inputs.enabled)})"
        # As local values, for the dashboard is JSON, in which a quote of an expression would be one too many.
        of_engine = string(f"{json.dumps(_CONNECTIONS)}[{config.instance.engine}]")
        self._names = {
            "service": string(self._local("service_name", config.placement.names.service)),
            "database": string(self._local("database_id", config.instance.id)),
            "connections": string(self._local("connections_metric", of_engine)),
        }
        self._channels = self._notify()
        self._watch_metrics()
        self._watch_log()
        self._ask_from_outside()
        pin(
            MonitoringDashboard(
                self,
                "dashboard",
                project=config.placement.project_id,
                dashboard_json=json.dumps(dashboard(self._names)),
            ),
            addresses.DASHBOARD.of(self._prefix),
        ).add_override("count", string(f"{self._enabled} ? 1 : 0"))

    def _local(self, name: str, value: object) -> str:
        return local(self, f"{self._prefix}{name}", value)

    def _notify(self) -> list[str]:
        """Makes a channel for each address; returns all channels."""
        address = addresses.NOTIFICATION_EMAILS.of(self._prefix)
        emails = self._local("notification_emails", self._config.inputs.emails)
        channel = pin(
            MonitoringNotificationChannel(
                self,
                "email",
                project=self._config.placement.project_id,
                display_name=f"{self._config.placement.names.service}: " + string("each.key"),
                type="email",
                labels={"email_address": string("each.value")},
                # Google refuses to delete a channel that a policy names: the policies let go of it first.
                lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
            ),
            address,
        )
        # By the names: an address may be a secret, or known only after the apply.
        channel.add_override("for_each", self._if_enabled(emails))
        others = self._local("notification_channels", self._config.inputs.channels)
        return Token.as_list(string(f"concat([for channel in {address} : channel.name], {others})"))

    def _watch_metrics(self) -> None:
        instances = self._local("max_instances", self._config.service.max_instances)
        connections = f"{instances} * {2 * mlflow.CONNECTIONS_PER_INSTANCE} + {mlflow.CONNECTIONS_OF_JOBS}"
        limits = {
            "p95_milliseconds": self._config.inputs.p95_milliseconds,
            "instances_below_maximum": number(f"{instances} - 1"),
            "connections_of_deployment": number(connections),
        }
        alerts = {
            name: {
                "title": alert.title,
                "todo": alert.todo,
                "filter": alert.filter.format_map(self._names),
                "aligner": alert.aligner,
                "reducer": alert.reducer,
                "seconds": alert.seconds,
                "above": limits[alert.above] if isinstance(alert.above, str) else alert.above,
            }
            for name, alert in THRESHOLDS.items()
        }
        condition = MonitoringAlertPolicyConditions(
            display_name=string("each.value.title"),
            condition_threshold=MonitoringAlertPolicyConditionsConditionThreshold(
                filter=string("each.value.filter"),
                comparison="COMPARISON_GT",
                threshold_value=number("each.value.above"),
                duration=string("each.value.seconds") + "s",
                aggregations=[
                    MonitoringAlertPolicyConditionsConditionThresholdAggregations(
                        alignment_period=f"{PERIOD_S}s",
                        per_series_aligner=string("each.value.aligner"),
                        cross_series_reducer=string("each.value.reducer"),
                    )
                ],
            ),
        )
        policy = self._policy("thresholds", addresses.THRESHOLD_ALERTS, condition, todo=string("each.value.todo"))
        policy.add_override("for_each", self._if_enabled(self._local("threshold_alerts", alerts)))

    def _watch_log(self) -> None:
        alerts = {
            name: {"title": alert.title, "todo": alert.todo, "filter": alert.filter.format_map(self._names)}
            for name, alert in LOG_ENTRIES.items()
        }
        condition = MonitoringAlertPolicyConditions(
            display_name=string("each.value.title"),
            condition_matched_log=MonitoringAlertPolicyConditionsConditionMatchedLog(
                filter=string("each.value.filter")
            ),
        )
        # Of every entry there is a message at most once an hour: https://cloud.google.com/logging/docs/alerting/log-based-alerts
        strategy = MonitoringAlertPolicyAlertStrategy(
            notification_rate_limit=MonitoringAlertPolicyAlertStrategyNotificationRateLimit(period="3600s")
        )
        policy = self._policy(
            "log-entries", addresses.LOG_ALERTS, condition, todo=string("each.value.todo"), strategy=strategy
        )
        policy.add_override("for_each", self._if_enabled(self._local("log_alerts", alerts)))

    def _ask_from_outside(self) -> None:
        placement = self._config.placement
        count = string(f"nonsensitive({self._local('uptime_check', self._config.inputs.uptime_check)}) ? 1 : 0")
        address = addresses.UPTIME_CHECK.of(self._prefix)
        check = pin(
            MonitoringUptimeCheckConfig(
                self,
                "uptime-check",
                project=placement.project_id,
                display_name=placement.names.service,
                period=f"{PERIOD_S}s",
                # A start from zero is also an answer.
                timeout="30s",
                http_check=MonitoringUptimeCheckConfigHttpCheck(
                    # Answered without a sign-in, and only while MLflow answers.
                    path="/ready",
                    port=443,
                    use_ssl=True,
                    validate_ssl=True,
                    accepted_response_status_codes=[
                        MonitoringUptimeCheckConfigHttpCheckAcceptedResponseStatusCodes(status_class="STATUS_CLASS_2XX")
                    ],
                ),
                monitored_resource=MonitoringUptimeCheckConfigMonitoredResource(
                    type="uptime_url",
                    labels={"project_id": placement.project_id, "host": self._config.url.removeprefix("https://")},
                ),
                # Asked before there is a service, the first apply would raise the alert.
                depends_on=[*self._config.answering],
            ),
            address,
        )
        names = {"check": string(f"one({address}[*].uptime_check_id)")}
        condition = MonitoringAlertPolicyConditions(
            display_name=UPTIME.title,
            condition_threshold=MonitoringAlertPolicyConditionsConditionThreshold(
                filter=UPTIME.filter.format_map(names),
                comparison="COMPARISON_GT",
                threshold_value=float(UPTIME.above),
                duration=f"{UPTIME.seconds}s",
                aggregations=[
                    MonitoringAlertPolicyConditionsConditionThresholdAggregations(
                        alignment_period=_UPTIME_PERIOD,
                        per_series_aligner=UPTIME.aligner,
                        cross_series_reducer=UPTIME.reducer,
                        group_by_fields=["resource.label.*"],
                    )
                ],
            ),
        )
        policy = self._policy("uptime", addresses.UPTIME_ALERT, condition, todo=UPTIME.todo)
        for resource in (check, policy):
            resource.add_override("count", count)
        # Google refuses to delete a check that a policy watches: the policy goes first, and comes again. With
        # create_before_destroy, which reaches all that a resource depends on, a service would be made while its name is
        # taken: https://developer.hashicorp.com/terraform/language/block/resource#create_before_destroy
        policy.add_override("lifecycle.replace_triggered_by", [f"{address}[count.index].id"])

    def _policy(
        self,
        id_: str,
        address: addresses.Address,
        condition: MonitoringAlertPolicyConditions,
        *,
        todo: str,
        strategy: MonitoringAlertPolicyAlertStrategy | None = None,
    ) -> MonitoringAlertPolicy:
        service = self._config.placement.names.service
        return pin(
            MonitoringAlertPolicy(
                self,
                id_,
                project=self._config.placement.project_id,
                display_name=f"{service}: {condition.display_name}",
                combiner="OR",
                conditions=[condition],
                alert_strategy=strategy,
                notification_channels=self._channels,
                documentation=MonitoringAlertPolicyDocumentation(content=todo, mime_type="text/markdown"),
                user_labels=self._config.placement.labels,
            ),
            address.of(self._prefix),
        )

    def _if_enabled(self, those: str) -> str:
        return string(f"{{ for name, one in {those} : name => one if {self._enabled} }}")
