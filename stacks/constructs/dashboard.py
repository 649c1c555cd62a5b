"""The dashboard: requests, instances and database of one tracking server on one page.

Source: https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.dashboards
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from stacks.alerts import INSTANCE, JOBS, LOG_OF_SERVICE, PERIOD_S, SERVICE

Json: TypeAlias = dict[str, Any]

_RUN: Final = "run.googleapis.com"
_SQL: Final = "cloudsql.googleapis.com/database"
_P95: Final = "REDUCE_PERCENTILE_95"
_COLUMNS: Final = 48
_WIDTH: Final = 16
_HEIGHT: Final = 16


class _Chart(NamedTuple):
    title: str
    of: str
    metric: str
    aligner: str
    reducer: str
    line: str = ""
    """The label that makes the lines."""


_CHARTS: Final = (
    _Chart("Requests a second", SERVICE, f"{_RUN}/request_count", "ALIGN_RATE", "REDUCE_SUM", "response_code_class"),
    _Chart("95 of 100 requests within, ms", SERVICE, f"{_RUN}/request_latencies", "ALIGN_DELTA", _P95),
    _Chart("Instances", SERVICE, f"{_RUN}/container/instance_count", "ALIGN_MAX", "REDUCE_SUM", "state"),
    _Chart("CPU of the instances", SERVICE, f"{_RUN}/container/cpu/utilizations", "ALIGN_DELTA", _P95),
    _Chart("Memory of the instances", SERVICE, f"{_RUN}/container/memory/utilizations", "ALIGN_DELTA", _P95),
    _Chart("Runs of jobs", JOBS, f"{_RUN}/job/completed_execution_count", "ALIGN_DELTA", "REDUCE_SUM", "result"),
    _Chart("CPU of the database", INSTANCE, f"{_SQL}/cpu/utilization", "ALIGN_MEAN", "REDUCE_MAX"),
    _Chart("Memory of the database", INSTANCE, f"{_SQL}/memory/utilization", "ALIGN_MEAN", "REDUCE_MAX"),
    _Chart("Disk of the database", INSTANCE, f"{_SQL}/disk/utilization", "ALIGN_MEAN", "REDUCE_MAX"),
    _Chart("Connections of the database", INSTANCE, "{connections}", "ALIGN_MAX", "REDUCE_SUM"),
)


def dashboard(names: Mapping[str, str]) -> Json:
    """The dashboard as Google's API takes it.

    Args:
        names: What stands in the gaps of filters, such as `service`; they may be Terraform tokens without quotes.
    """
    a_row = _COLUMNS // _WIDTH
    tiles = [
        _tile(_widget(chart, names), x=number % a_row * _WIDTH, y=number // a_row * _HEIGHT, width=_WIDTH)
        for number, chart in enumerate(_CHARTS)
    ]
    log = {
        "title": "Warnings and errors",
        "logsPanel": {"filter": f"{LOG_OF_SERVICE} AND severity>=WARNING".format_map(names)},
    }
    below = -(-len(_CHARTS) // a_row) * _HEIGHT
    return {
        "displayName": names["service"],
        "mosaicLayout": {"columns": _COLUMNS, "tiles": [*tiles, _tile(log, x=0, y=below, width=_COLUMNS)]},
    }


def _widget(chart: _Chart, names: Mapping[str, str]) -> Json:
    aggregation: Json = {
        "alignmentPeriod": f"{PERIOD_S}s",
        "perSeriesAligner": chart.aligner,
        "crossSeriesReducer": chart.reducer,
    }
    if chart.line:
        aggregation["groupByFields"] = [f'metric.label."{chart.line}"']
    time_series = {
        "filter": f'{chart.of} AND metric.type = "{chart.metric}"'.format_map(names),
        "aggregation": aggregation,
    }
    data = {
        "plotType": "LINE",
        "targetAxis": "Y1",
        "timeSeriesQuery": {"timeSeriesFilter": time_series},
    }
    return {"title": chart.title, "xyChart": {"dataSets": [data]}}


def _tile(widget: Json, *, x: int, y: int, width: int) -> Json:
    return {"xPos": x, "yPos": y, "width": width, "height": _HEIGHT, "widget": widget}
