"""Cloud Monitoring's time series: what was counted and measured, and how it is aligned, reduced and compared.

Kept in memory, for a day and an hour. Left out: ALIGN_STDDEV and ALIGN_PERCENT_CHANGE, values between samples
(ALIGN_INTERPOLATE takes the last one), and a second aggregation.
https://cloud.google.com/monitoring/api/v3/aggregation
"""

from __future__ import annotations

import math
import statistics
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from localcloud.services.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from localcloud.services.metric_filter import MetricFilter

RETENTION_S = 90_000.0
_MINUTE_S = 60.0
_MOST_POINTS = 200_000  # of one series
LabelsOf: TypeAlias = "tuple[Mapping[str, str], Mapping[str, str]]"
Labels: TypeAlias = "tuple[tuple[str, str], ...]"
Aligned: TypeAlias = "float | list[float]"
"""A number, or the samples of a distribution."""


@dataclass(slots=True)
class Series:
    """One time series.

    Attributes:
        resource: labels of the monitored resource.
        labels: labels of the metric.
        points: (time in seconds, value).
    """

    resource: Mapping[str, str]
    labels: Mapping[str, str]
    points: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_MOST_POINTS))


class TimeSeries:
    """All of them."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, Labels, Labels], Series] = {}
        self._lock = threading.Lock()

    def record(self, metric: str, resource: str, of: LabelsOf, value: float, time: float) -> None:
        """Adds a point.

        Args:
            metric: The type of the metric.
            resource: The type of the monitored resource.
            of: Labels of the resource, and of the metric.
            value: A sample, or for a counter by how much it grew.
            time: When, in seconds.
        """
        resource_labels, labels = of
        key = (metric, resource, tuple(sorted(resource_labels.items())), tuple(sorted(labels.items())))
        with self._lock:
            series = self._series.setdefault(key, Series(dict(resource_labels), dict(labels)))
            series.points.append((time, value))
            while series.points and series.points[0][0] < time - RETENTION_S:
                series.points.popleft()

    def find(self, asked: MetricFilter) -> list[Series]:
        """The series that a filter asks for."""
        with self._lock:
            return [
                Series(series.resource, series.labels, series.points.copy())
                for (metric, resource, _, _), series in self._series.items()
                if (metric, resource) == (asked.metric, asked.resource)
                and asked.matches(series.resource, series.labels)
            ]


def _sums(points: list[tuple[float, float]]) -> list[float]:
    """Returns the increase of a counter in each minute in which it grew, which is Google's sampling period."""
    minutes: dict[int, float] = {}
    for time, value in points:
        minutes[int(time // _MINUTE_S)] = minutes.get(int(time // _MINUTE_S), 0) + value
    return list(minutes.values())


_PERCENTILES = {"05": 0.05, "50": 0.5, "95": 0.95, "99": 0.99}
_REDUCERS: dict[str, Callable[[list[float]], float]] = {
    "REDUCE_COUNT": lambda values: float(len(values)),
    "REDUCE_COUNT_FALSE": lambda values: float(values.count(0)),
    "REDUCE_COUNT_TRUE": lambda values: float(len(values) - values.count(0)),
    "REDUCE_FRACTION_TRUE": lambda values: 1 - values.count(0) / len(values),
    "REDUCE_MAX": max,
    "REDUCE_MEAN": statistics.fmean,
    "REDUCE_MIN": min,
    "REDUCE_STDDEV": statistics.pstdev,
    "REDUCE_SUM": math.fsum,
    **{
        f"REDUCE_PERCENTILE_{name}": lambda values, share=share: percentile(values, share)
        for name, share in _PERCENTILES.items()
    },
}
_ALIGNERS: dict[str, Callable[[list[float]], float]] = {
    "ALIGN_COUNT": lambda values: float(len(values)),
    "ALIGN_COUNT_FALSE": _REDUCERS["REDUCE_COUNT_FALSE"],
    "ALIGN_COUNT_TRUE": _REDUCERS["REDUCE_COUNT_TRUE"],
    "ALIGN_FRACTION_TRUE": _REDUCERS["REDUCE_FRACTION_TRUE"],
    "ALIGN_INTERPOLATE": lambda values: values[-1],
    "ALIGN_MAX": max,
    "ALIGN_MEAN": statistics.fmean,
    "ALIGN_MIN": min,
    "ALIGN_NEXT_OLDER": lambda values: values[-1],
    "ALIGN_NONE": lambda values: values[-1],
    **{f"ALIGN_PERCENTILE_{name}": _REDUCERS[f"REDUCE_PERCENTILE_{name}"] for name in _PERCENTILES},
}
_TOTALS = {"ALIGN_DELTA", "ALIGN_RATE", "ALIGN_SUM"}


def is_known(aligner: str, reducer: str) -> bool:
    """Whether both have a meaning here."""
    return aligner in {*_ALIGNERS, *_TOTALS} and reducer in {*_REDUCERS, "REDUCE_NONE"}


def percentile(values: list[float], share: float) -> float:
    """The value that a share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def align(metric: str, series: Series, aligner: str, period: float, end: float) -> Aligned | None:
    """One value for a period that ends at a time; None where there was nothing."""
    points = [(time, value) for time, value in series.points if end - period < time <= end]
    if not points:
        return None
    known = METRICS[metric]
    values = [value for _, value in points]
    if aligner in _TOTALS and known.value_type == "DISTRIBUTION":
        return values
    if aligner in _TOTALS:
        total = math.fsum(values)
        return total / period if aligner == "ALIGN_RATE" else total
    if known.kind == "DELTA" and known.value_type != "DISTRIBUTION":
        values = _sums(points)
    return _ALIGNERS[aligner](values)


def reduce(values: Iterable[Aligned], reducer: str) -> float:
    """One value of several."""
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    return _REDUCERS[reducer](flat)


def group_of(series: Series, fields: Iterable[str]) -> Labels:
    """The labels by which series are put together; with no field, all are one group."""
    found: list[tuple[str, str]] = []
    for name in fields:
        owner, _, label = name.partition(".")
        label = label.rpartition(".")[2].strip('"')
        labels = series.resource if owner == "resource" else series.labels
        found.append((label or owner, labels.get(label, series.resource.get("project_id", ""))))
    return tuple(found)
