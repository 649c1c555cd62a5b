"""Cloud Monitoring: alert policies, and what it refuses of them.

Left out: conditions in PromQL, MQL and SQL, which are accepted and not read. Who is alerted when is the platform's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from localcloud.clock import seconds
from localcloud.resource import OWNER, Cloud, crud, now, stable_number
from localcloud.services import metric_filter
from localcloud.services.logging_query import Query
from localcloud.services.metric_filter import MetricFilter
from localcloud.services.metrics import ALIGNERS, METRICS
from localcloud.services.monitoring import ALERT_POLICY, Assigned, NotificationChannel
from localcloud.services.query import BadFilter
from localcloud.terraform.model import Object, Problem, Refused, Value, objects, strings, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localcloud.resource import ApiDefault
    from localcloud.services.metrics import Metric

INCIDENT = "monitoring.incident"
"""Under which incidents are remembered, by their names."""
_POLICIES = "https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies"
_MOST_CONDITIONS = 6
_SHORTEST_PERIOD_S = 60
_LONGEST_PERIOD_S = 90_000
_COMPARISONS = {"COMPARISON_GT", "COMPARISON_LT"}


class AlertPolicy(Assigned):
    """When somebody is notified, and who."""

    type = ALERT_POLICY
    permissions = crud("monitoring.alertPolicies")
    collection = "alertPolicies"
    requires_replace = frozenset({"project"})
    defaults: ClassVar[Mapping[str, Value]] = {"documentation.mime_type": "text/markdown", "enabled": True}
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {"conditions.name": ""}
    imports = ("projects/{project}/alertPolicies/{number}",)

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """Everything that the interface refuses, at once."""
        del config
        problems = [
            Problem(f"Error creating AlertPolicy: googleapi: Error {message}", _POLICIES, ("conditions",))
            for message in _problems(cloud, planned)
        ]
        if problems:
            raise Refused(*problems)

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """It and its conditions get names."""
        del config
        name = self.name(cloud, planned)
        record: Object = {"mutate_time": now(), "mutated_by": OWNER}
        return {"conditions": _named(name, planned), "creation_record": [record], "name": name}

    def update(self, cloud: Cloud, planned: Object, config: Object, prior: Object) -> Object:
        """New conditions also get names."""
        del cloud, config
        return {"conditions": _named(text(prior, "name"), planned)}

    def forget(self, cloud: Cloud, values: Object) -> None:
        """Its incidents are closed with it."""
        for incident in cloud.store.all(INCIDENT):
            if text(incident, "policy") == text(values, "name"):
                cloud.store.remove(INCIDENT, text(incident, "name"))


def _named(policy: str, planned: Object) -> list[Value]:
    conditions = objects(planned, "conditions")
    taken = {text(condition, "name") for condition in conditions}
    named: list[Value] = []
    for index, condition in enumerate(conditions):
        count = index
        name = text(condition, "name")
        while not name or (name in taken and not text(condition, "name")):
            name = f"{policy}/conditions/{stable_number(policy, str(count), digits=19)}"
            count += 1
        taken.add(name)
        named.append({**condition, "name": name})
    return named


def _problems(cloud: Cloud, policy: Object) -> Iterator[str]:
    conditions = objects(policy, "conditions")
    matched = [condition for condition in conditions if objects(condition, "condition_matched_log")]
    strategy = objects(policy, "alert_strategy") or [{}]
    limit = text(strategy[0], "notification_rate_limit", 0, "period")
    if len(conditions) > _MOST_CONDITIONS:
        yield _invalid("alert_policy.conditions", len(conditions), f"at most {_MOST_CONDITIONS} are allowed")
    if matched and len(conditions) > 1:
        # https://github.com/chainguard-dev/terraform-infra-common/pull/384
        yield "400: Alert policies with a log matching condition can only have a single condition."
    if bool(matched) != bool(limit):
        # https://github.com/chainguard-dev/terraform-infra-common/pull/352
        kind = "log-based alert policies must" if matched else "only log-based alert policies may"
        yield _invalid("alertStrategy.notificationRateLimit", limit, f"{kind} specify a notification rate limit")
    for channel in strings(policy, "notification_channels"):
        if not cloud.store.get(NotificationChannel.type, channel):
            yield f'404: Notification channel "{channel}" not found.'
    for index, condition in enumerate(conditions):
        yield from _problems_of(condition, f"alert_policy.conditions[{index}]")


def _invalid(field: str, value: object, why: str) -> str:
    return f'400: Field {field} had an invalid value of "{value}": {why}'


def _problems_of(condition: Object, field: str) -> Iterator[str]:
    for matched in objects(condition, "condition_matched_log"):
        source = text(matched, "filter")
        try:
            Query(source)
        except BadFilter as error:
            yield _invalid(f"{field}.filter", source, str(error))
    for kind in ("condition_threshold", "condition_absent"):
        for series in objects(condition, kind):
            yield from _problems_of_series(series, f"{field}.{kind}")
    for threshold in objects(condition, "condition_threshold"):
        yield from _problems_of_threshold(threshold, f"{field}.condition_threshold")


def _problems_of_threshold(threshold: Object, field: str) -> Iterator[str]:
    comparison, missing = text(threshold, "comparison"), text(threshold, "evaluation_missing_data")
    if comparison not in _COMPARISONS:
        yield _invalid(f"{field}.comparison", comparison, f"only {' and '.join(sorted(_COMPARISONS))} are supported")
    if missing and not seconds(threshold.get("duration")):
        # https://github.com/chainguard-dev/terraform-infra-common/pull/401
        why = "Conditions setting evaluation_missing_data must have a non-zero duration."
        yield _invalid(f"{field}.evaluation_missing_data", missing, why)
    if text(threshold, "denominator_filter"):
        yield from _problems_of_filter(text(threshold, "denominator_filter"), f"{field}.denominator_filter")


def _problems_of_series(series: Object, field: str) -> Iterator[str]:
    source, duration = text(series, "filter"), text(series, "duration")
    yield from _problems_of_filter(source, f"{field}.filter")
    if not re.fullmatch(r"\d+s", duration) or seconds(series.get("duration")) % 60:
        yield _invalid(f"{field}.duration", duration, "it must be a multiple of 60 seconds")
    try:
        metric = METRICS.get(MetricFilter.parse(source).metric)
    except BadFilter:
        metric = None
    for index, aggregation in enumerate(objects(series, "aggregations")):
        # A second aggregation gets what the first has made of the metric.
        yield from _problems_of_aggregation(aggregation, f"{field}.aggregations[{index}]", None if index else metric)


def _problems_of_aggregation(aggregation: Object, field: str, metric: Metric | None) -> Iterator[str]:
    aligner = text(aggregation, "per_series_aligner") or "ALIGN_NONE"
    reducer = text(aggregation, "cross_series_reducer") or "REDUCE_NONE"
    period = text(aggregation, "alignment_period")
    if aligner == "ALIGN_NONE":
        if reducer != "REDUCE_NONE":
            yield _invalid(f"{field}.per_series_aligner", aligner, "it must be specified with a cross-series reducer")
        return
    if not _SHORTEST_PERIOD_S <= seconds(aggregation.get("alignment_period")) <= _LONGEST_PERIOD_S:
        why = f"it must be between {_SHORTEST_PERIOD_S}s and {_LONGEST_PERIOD_S}s"
        yield _invalid(f"{field}.alignment_period", period, why)
    kinds, types = ALIGNERS.get(aligner, (frozenset[str](), frozenset[str]()))
    if metric and not (metric.kind in kinds and metric.value_type in types):
        # https://github.com/google/exposure-notifications-verification-server/issues/659
        what = f"metrics with kind {metric.kind} and value type {metric.value_type}"
        yield _invalid("aggregation.perSeriesAligner", aligner, f"The aligner cannot be applied to {what}.")


def _problems_of_filter(source: str, field: str) -> Iterator[str]:
    code, _, message = metric_filter.problem(source).partition(": ")
    if code:
        yield _invalid(field, source, message) if code == "400" else f"{code}: {message}"
