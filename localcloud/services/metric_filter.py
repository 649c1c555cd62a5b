"""Filters of time series: which metric of which resources, by labels.

Left out: groups, metadata, and comparisons of labels that are not texts.
https://cloud.google.com/monitoring/api/v3/filters
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.services import query
from localcloud.services.metrics import METRICS, RESOURCES, exists
from localcloud.services.query import BadFilter, Call, Comparison

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FUNCTIONS: Mapping[str, Callable[[str, tuple[str, ...]], bool]] = {
    "ends_with": lambda value, texts: value.endswith(texts[0]),
    "has_substring": lambda value, texts: texts[0] in value,
    "monitoring.regex.full_match": lambda value, texts: re.fullmatch(texts[0], value) is not None,
    "one_of": lambda value, texts: value in texts,
    "starts_with": lambda value, texts: value.startswith(texts[0]),
}
_OPERATORS = {"=", "!=", ":"}
_UNMEASURED = {"group", "metadata", "project"}


@dataclass(frozen=True, slots=True)
class MetricFilter:
    """A filter that was read.

    Attributes:
        text: as it was written.
        metric: the type of the metric.
        resource: the type of the monitored resource; "" if it names none.
    """

    text: str
    metric: str
    resource: str
    _node: query.Node

    @classmethod
    def parse(cls, text: str) -> MetricFilter:
        """Reads a filter.

        Raises:
            BadFilter: it is none, or names no metric.
        """
        try:
            node = query.parse(text)
        except BadFilter as error:
            raise BadFilter(f'Could not parse filter "{text}"; {error}') from error
        types = {"metric": "", "resource": ""}
        for leaf in query.leaves(node):
            if not isinstance(leaf, Comparison):
                raise BadFilter(f'Could not parse filter "{text}"; a selector and a comparison are expected')
            _check(leaf)
            owner, name, *_ = (*leaf.path, "")
            if name == "type" and leaf.operator == "=" and isinstance(leaf.value, str):
                types[owner] = leaf.value
        if not types["metric"]:
            raise BadFilter('must specify a restriction on "metric.type" in the filter')
        return cls(text, types["metric"], types["resource"], node)

    @property
    def is_measurable(self) -> bool:
        """Whether it asks only for what a time series here has."""
        return not any(
            isinstance(leaf, Comparison) and leaf.path[0] in _UNMEASURED for leaf in query.leaves(self._node)
        )

    def unknown_labels(self) -> list[str]:
        """The labels that it asks for, and the metric or the resource does not have."""
        metric = METRICS.get(self.metric)
        if metric is None:
            return []
        known = {f"metric.{label}" for label in metric.labels}
        known |= {f"resource.{label}" for label in RESOURCES.get(self.resource, ())}
        asked = [
            f"{leaf.path[0]}.{leaf.path[2]}"
            for leaf in query.leaves(self._node)
            if isinstance(leaf, Comparison) and len(leaf.path) > 2  # noqa: PLR2004 - metric.labels.NAME
        ]
        return [name for name in asked if name.partition(".")[0] in {"metric", "resource"} and name not in known]

    def matches(self, resource_labels: Mapping[str, str], metric_labels: Mapping[str, str]) -> bool:
        """Whether a time series of the metric and the resource is asked for."""
        labels = {"metric": metric_labels, "resource": resource_labels}
        types = {"metric": self.metric, "resource": self.resource}

        def holds(leaf: Comparison | Call | query.Text) -> bool:
            assert isinstance(leaf, Comparison)  # noqa: S101 - others were refused
            owner, *rest = leaf.path
            found = types[owner] if rest == ["type"] else labels[owner].get(rest[-1], "")
            if isinstance(leaf.value, Call):
                return _FUNCTIONS[leaf.value.name](found, leaf.value.arguments) == (leaf.operator != "!=")
            if leaf.operator == ":":
                return leaf.value in found
            return (found == leaf.value) == (leaf.operator == "=")

        return query.evaluate(self._node, holds)


def _check(leaf: Comparison) -> None:
    owner, *rest = leaf.path
    is_label = len(rest) == 2 and rest[0] in {"label", "labels"}  # noqa: PLR2004 - labels.NAME
    if owner not in _UNMEASURED and not (owner in {"metric", "resource"} and (rest == ["type"] or is_label)):
        raise BadFilter(
            f"'{'.'.join(leaf.path)}' is not a valid selector: https://cloud.google.com/monitoring/api/v3/filters"
        )
    if leaf.operator not in _OPERATORS:
        raise BadFilter(f"the operator {leaf.operator} has no meaning here: {', '.join(sorted(_OPERATORS))} have one")
    if isinstance(leaf.value, Call):
        if leaf.value.name not in _FUNCTIONS or not leaf.value.arguments:
            raise BadFilter(f"the function {leaf.value.name} is not one of {', '.join(_FUNCTIONS)}")
        if leaf.value.name == "monitoring.regex.full_match":
            try:
                re.compile(leaf.value.arguments[0])
            except re.error as error:
                raise BadFilter(f"Invalid regular expression: {leaf.value.arguments[0]!r}: {error}") from error


def problem(text: str) -> str:
    """Returns Google's message about the filter of a condition, after its code; "" if Google accepts it."""
    try:
        found = MetricFilter.parse(text)
    except BadFilter as error:
        return f"400: {error}"
    if exists(found.metric) is False:
        return (
            f'404: Cannot find metric(s) that match type = "{found.metric}". If a metric was created recently, it '
            "could take up to 10 minutes to become available. Please try again soon."
        )
    if not found.resource:
        return (
            '400: must specify a restriction on "resource.type" in the filter; see '
            '"https://cloud.google.com/monitoring/api/resources" for a list of available resource types.'
        )
    metric = METRICS.get(found.metric)
    if metric and metric.resources and found.resource not in metric.resources:
        return (
            "400: The supplied filter does not specify a valid combination of metric and monitored resource "
            "descriptors. The query will not return any time series."
        )
    if found.unknown_labels():
        return (
            "404: The metric referenced by the provided filter is unknown. Check the metric name and labels. "
            f"({', '.join(found.unknown_labels())})"
        )
    return ""
