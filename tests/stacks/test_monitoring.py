"""Promises on alerts: they ask for what exists, reach somebody, and are none unless asked for."""

import json
from typing import Any

import pytest

from localcloud.services import metric_filter
from localcloud.services.logging_query import Query
from stacks import addresses
from stacks.alerts import LOG_ENTRIES, THRESHOLDS
from tests.stacks.documents import NAMES, document, resource
from tests.stacks.evaluate import evaluate


def _value(environment: str, expression: Any) -> Any:
    return evaluate(expression, locals_=document(environment)["locals"])


def _alerts(environment: str, local: str) -> dict[str, dict[str, Any]]:
    return _value(environment, f"${{local.{local}}}")


@pytest.mark.parametrize("environment", NAMES)
def test_every_threshold_is_on_a_metric_of_google_and_its_labels(environment: str) -> None:
    for name, alert in _alerts(environment, "threshold_alerts").items():
        assert not metric_filter.problem(alert["filter"]), name


@pytest.mark.parametrize("environment", NAMES)
def test_every_chart_of_the_dashboard_is_on_a_metric_of_google(environment: str) -> None:
    dashboard = json.loads(_value(environment, resource(environment, addresses.DASHBOARD)["dashboard_json"]))
    widgets = [tile["widget"] for tile in dashboard["mosaicLayout"]["tiles"]]
    queries = [one["timeSeriesQuery"] for each in widgets if "xyChart" in each for one in each["xyChart"]["dataSets"]]
    assert len(queries) == len(widgets) - 1
    for query in queries:
        assert not metric_filter.problem(query["timeSeriesFilter"]["filter"])


@pytest.mark.parametrize("environment", NAMES)
def test_every_log_filter_can_be_read(environment: str) -> None:
    for alert in _alerts(environment, "log_alerts").values():
        Query(alert["filter"])


def test_the_connections_are_those_of_the_engine() -> None:
    of_engine = {one: _alerts(one, "threshold_alerts")["database-connections"]["filter"] for one in ("dev", "mysql")}
    assert "database/postgresql/num_backends" in of_engine["dev"]
    assert "database/network/connections" in of_engine["mysql"]


def test_the_limits_are_those_of_the_settings() -> None:
    alerts = _alerts("maximal", "threshold_alerts")
    assert alerts["instances-at-maximum"]["above"] == 9
    assert alerts["slow"]["above"] == 2_000
    assert alerts["database-connections"]["above"] == 2 * 10 * 6 + 3


@pytest.mark.parametrize(("environment", "made"), [("dev", 0), ("prod", 0), ("maximal", 1)])
def test_there_is_none_unless_asked_for(environment: str, made: int) -> None:
    thresholds = _value(environment, resource(environment, addresses.THRESHOLD_ALERTS)["for_each"])
    entries = _value(environment, resource(environment, addresses.LOG_ALERTS)["for_each"])
    assert (len(thresholds), len(entries)) == (made * len(THRESHOLDS), made * len(LOG_ENTRIES))
    assert _value(environment, resource(environment, addresses.DASHBOARD)["count"]) == made
    assert _value(environment, resource(environment, addresses.UPTIME_CHECK)["count"]) == 0


def test_every_policy_tells_every_channel() -> None:
    emails = addresses.NOTIFICATION_EMAILS
    for policy in (addresses.THRESHOLD_ALERTS, addresses.LOG_ALERTS, addresses.UPTIME_ALERT):
        channels = resource("maximal", policy)["notification_channels"]
        assert channels == f"${{concat([for channel in {emails} : channel.name], local.notification_channels)}}"
