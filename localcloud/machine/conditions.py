"""Conditions of alert policies on metrics: whether they are met at a moment.

Left out: conditions in PromQL, MQL and SQL, forecasts, second aggregations, groups and metadata, and metrics that are
not counted here (`telemetry.py`). A policy with one of them is said to be not evaluated.
https://cloud.google.com/monitoring/alerts/concepts-indepth
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.clock import seconds
from localcloud.machine import timeseries
from localcloud.machine.telemetry import MEASURED
from localcloud.services.metric_filter import MetricFilter
from localcloud.terraform.model import Object, Value, number, objects, strings, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localcloud.machine.timeseries import Aligned, Labels, TimeSeries

_MINUTE_S = 60
_LANGUAGES = ("condition_monitoring_query_language", "condition_prometheus_query_language", "condition_sql")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of a condition on one group of series.

    Attributes:
        group: The labels of the group.
        value: The newest value; None for no data.
        holds: Whether the condition is met; None if there are no data to tell.
    """

    group: Labels
    value: float | None
    holds: bool | None


def unevaluated(policy: Object, *, uptime: bool = True) -> str:
    """Why a policy cannot be evaluated here; "" if it can.

    Args:
        policy: The google_monitoring_alert_policy.
        uptime: Uptime checks are made.
    """
    for condition in objects(policy, "conditions"):
        for kind in _LANGUAGES:
            if objects(condition, kind):
                return f"{kind} has no meaning in the local cloud"
        for series in (*objects(condition, "condition_threshold"), *objects(condition, "condition_absent")):
            reason = _unmeasured(series, uptime=uptime)
            if reason:
                return reason
    return ""


def _unmeasured(series: Object, *, uptime: bool) -> str:
    for source in filter(None, (text(series, "filter"), text(series, "denominator_filter"))):
        asked = MetricFilter.parse(source)
        if asked.metric not in MEASURED:
            return f"{asked.metric} is not measured here"
        if not uptime and "/uptime_check/" in asked.metric:
            return "uptime checks are off: `up --uptime-checks`"
        if not asked.is_measurable:
            return f"groups and metadata have no meaning here: {source}"
    for kind in ("aggregations", "denominator_aggregations"):
        aggregations = objects(series, kind)
        aligner, reducer = _aggregation(aggregations)
        if len(aggregations) > 1 or not timeseries.is_known(aligner, reducer):
            return (
                f"{aligner} with {reducer}{' and a second aggregation' * (len(aggregations) > 1)} has no meaning here"
            )
    return "forecasts have no meaning here" if objects(series, "forecast_options") else ""


def _aggregation(aggregations: list[Object]) -> tuple[str, str]:
    first = aggregations[0] if aggregations else {}
    return text(first, "per_series_aligner") or "ALIGN_NONE", text(first, "cross_series_reducer") or "REDUCE_NONE"


class Conditions:
    """Judges conditions.

    Args:
        series: What is known.
    """

    def __init__(self, series: TimeSeries) -> None:
        self._series = series

    def verdicts(self, condition: Object, now: float) -> Iterator[Verdict]:
        """Returns the verdict of a condition on each group of series at a time, in seconds."""
        for threshold in objects(condition, "condition_threshold"):
            yield from self._thresholds(threshold, now)
        for absent in objects(condition, "condition_absent"):
            duration = seconds(absent.get("duration"))
            for series in self._series.find(MetricFilter.parse(text(absent, "filter"))):
                last = series.points[-1][0]
                yield Verdict(timeseries.group_of(series, _all_labels(series)), None, now - last > duration)

    def _thresholds(self, threshold: Object, now: float) -> Iterator[Verdict]:
        bound = number(threshold, "threshold_value")
        is_over: Callable[[float], bool] = (
            (lambda value: value > bound)
            if text(threshold, "comparison") == "COMPARISON_GT"
            else (lambda value: value < bound)
        )
        ends = [now - back for back in range(0, int(seconds(threshold.get("duration"))) + 1, _MINUTE_S)]
        windows = [self._values(threshold, end) for end in ends]
        missing = text(threshold, "evaluation_missing_data")
        verdicts: list[Verdict] = []
        for group in sorted(
            {it for it, _ in self._grouped(text(threshold, "filter"), objects(threshold, "aggregations"))}
        ):
            values = [window.get(group) for window in windows]
            if values[0] is None:
                holds = {"EVALUATION_MISSING_DATA_ACTIVE": True, "EVALUATION_MISSING_DATA_INACTIVE": False}.get(missing)
            else:
                holds = all(value is not None and is_over(value) for value in values)
            verdicts.append(Verdict(group, values[0], holds))
        count = sum(verdict.holds is True for verdict in verdicts)
        needed = threshold.get("trigger")
        for verdict in verdicts:
            enough = _is_enough(needed, count, len(verdicts))
            yield verdict if enough or not verdict.holds else Verdict(verdict.group, verdict.value, holds=False)

    def _values(self, threshold: Object, end: float) -> dict[Labels, float]:
        """The value of each group at a time, of a ratio if there is a denominator."""
        found = self._reduced(text(threshold, "filter"), objects(threshold, "aggregations"), end)
        if not text(threshold, "denominator_filter"):
            return found
        others = objects(threshold, "denominator_aggregations") or objects(threshold, "aggregations")
        below = self._reduced(text(threshold, "denominator_filter"), others, end)
        return {group: value / below[group] for group, value in found.items() if below.get(group)}

    def _reduced(self, source: str, aggregations: list[Object], end: float) -> dict[Labels, float]:
        asked, (aligner, reducer) = MetricFilter.parse(source), _aggregation(aggregations)
        period = (seconds(aggregations[0].get("alignment_period")) if aggregations else 0) or float(_MINUTE_S)
        groups: defaultdict[Labels, list[Aligned]] = defaultdict(list)
        for group, series in self._grouped(source, aggregations):
            value = timeseries.align(asked.metric, series, aligner, period, end)
            if value is not None:
                groups[group].append(value)
        by = "REDUCE_MEAN" if reducer == "REDUCE_NONE" else reducer
        return {group: timeseries.reduce(values, by) for group, values in groups.items()}

    def _grouped(self, source: str, aggregations: list[Object]) -> Iterator[tuple[Labels, timeseries.Series]]:
        fields = strings(aggregations[0], "group_by_fields") if aggregations else []
        alone = _aggregation(aggregations)[1] == "REDUCE_NONE"
        for series in self._series.find(MetricFilter.parse(source)):
            yield timeseries.group_of(series, _all_labels(series) if alone else fields), series


def _all_labels(series: timeseries.Series) -> list[str]:
    return [*(f"resource.labels.{it}" for it in series.resource), *(f"metric.labels.{it}" for it in series.labels)]


def _is_enough(trigger: Value, count: int, of: int) -> bool:
    """Whether so many groups are enough: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies#Trigger."""
    share, least = number(trigger, 0, "percent"), number(trigger, 0, "count")
    if share:
        return bool(of) and 100 * count / of >= share
    return count >= (least or 1)
