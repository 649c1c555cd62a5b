"""An incident is opened by what was logged, counted or measured, and closed when it is over, as Monitoring does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from localcloud.clock import Clock
from localcloud.machine.alerts import Alerts
from localcloud.machine.conditions import unevaluated
from localcloud.machine.logbook import Logbook, Source
from localcloud.machine.telemetry import MEASURED, Telemetry
from localcloud.services.alerting import INCIDENT, AlertPolicy
from localcloud.services.metrics import METRICS
from localcloud.services.monitoring import NotificationChannel

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.resource import Cloud

NAMES = {"configuration_name": "echo", "location": "here", "revision_name": "echo-1", "service_name": "echo"}
REVISION = Source(project="tests", resource="cloud_run_revision", resource_labels=NAMES, labels={})
JOB = Source(
    project="tests", resource="cloud_run_job", resource_labels={"job_name": "gc", "location": "here"}, labels={}
)
PAGE = Source(project="tests", resource="uptime_url", resource_labels={"host": "echo.run.app"}, labels={})
DATABASE = Source(project="tests", resource="cloudsql_database", resource_labels={"database_id": "tests:db"}, labels={})
FAILED = (
    'resource.type="cloud_run_job" AND metric.type="run.googleapis.com/job/completed_execution_count" '
    'AND metric.labels.result="failed"'
)
REQUESTS = 'resource.type="cloud_run_revision" AND metric.type="run.googleapis.com/request_count"'
ERRORS = f'{REQUESTS} AND metric.labels.response_code_class="5xx"'
LATENCIES = 'resource.type="cloud_run_revision" AND metric.type="run.googleapis.com/request_latencies"'
INSTANCES = 'resource.type="cloud_run_revision" AND metric.type="run.googleapis.com/container/instance_count"'
CHECKS = 'resource.type="uptime_url" AND metric.type="monitoring.googleapis.com/uptime_check/check_passed"'


class Watched:
    """A cloud on paper with one policy, and what is told of it."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud = cloud
        self.clock = Clock(cloud.store)
        self.telemetry = Telemetry(cast("Any", None), Logbook(folder / "logs", self.clock))
        self.alerts = Alerts(cloud, self.telemetry, uptime=True)
        channel: Any = {"labels": {"email_address": "ada@example.com"}}
        cloud.store.put(NotificationChannel.type, "mail", channel)

    def policy(self, *conditions: dict[str, Any], combiner: str = "OR", **changes: Any) -> None:
        named = [
            {"name": f"p/conditions/{n}", "display_name": f"condition {n}", **it} for n, it in enumerate(conditions)
        ]
        values: Any = {"name": "p", "display_name": "policy", "combiner": combiner, "conditions": named}
        self.cloud.store.put(AlertPolicy.type, "p", values | {"notification_channels": ["mail"]} | changes)

    def after(self, minutes: float = 0) -> list[dict[str, Any]]:
        """The open incidents, some minutes later."""
        self.clock.push(timedelta(minutes=minutes))
        self.alerts.evaluate()
        found: Any = self.cloud.store.all(INCIDENT)
        return [incident for incident in found if incident["state"] == "OPEN"]

    def requests(self, status: int, count: int = 1, latency_s: float = 0.1) -> None:
        for _ in range(count):
            self.telemetry.request(REVISION, status, latency_s, {})


@pytest.fixture
def watched(cloud: Cloud, tmp_path: Path) -> Watched:
    return Watched(cloud, tmp_path)


def threshold(source: str, aligner: str, over: float | str, *, period: str = "300s", **changes: Any) -> dict[str, Any]:
    aggregation = {
        "alignment_period": period,
        "per_series_aligner": aligner,
        "cross_series_reducer": changes.pop("reducer", ""),
        "group_by_fields": changes.pop("group", []),
    }
    usual = {"filter": source, "comparison": "COMPARISON_GT", "threshold_value": over, "duration": "0s"}
    return {"condition_threshold": [usual | {"aggregations": [aggregation]} | changes]}


def matched(source: str) -> dict[str, Any]:
    return {"condition_matched_log": [{"filter": source}]}


def limited(period: str = "3600s", auto_close: str = "") -> list[dict[str, Any]]:
    return [{"notification_rate_limit": [{"period": period}], "auto_close": auto_close}]


def test_a_log_entry_opens_an_incident_and_tells_somebody_no_more_often_than_it_should(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.policy(matched("severity>=ERROR AND jsonPayload.logger=gate"), alert_strategy=limited(auto_close="7200s"))
    watched.telemetry.logbook.line(REVISION, "stderr", '{"severity": "WARNING", "logger": "gate"}')
    assert watched.after() == []
    for _ in range(3):
        watched.telemetry.logbook.line(REVISION, "stderr", '{"severity": "ERROR", "logger": "gate", "who": "eve"}')
    (incident,) = watched.after(59)
    assert incident["entry"]["jsonPayload"]["who"] == "eve"
    assert incident["notifications"] == 1
    assert "ALERT policy: condition 0; notifies ada@example.com" in caplog.text
    watched.clock.push(timedelta(minutes=2))
    watched.telemetry.logbook.line(REVISION, "stderr", '{"severity": "ERROR", "logger": "gate"}')
    assert watched.after()[0]["notifications"] == 2
    assert watched.after(119)
    assert watched.after(2) == []


def test_a_failed_execution_opens_an_incident(watched: Watched) -> None:
    watched.policy(threshold(FAILED, "ALIGN_SUM", 0))
    watched.telemetry.measure(JOB, "run.googleapis.com/job/completed_execution_count", 1, result="succeeded")
    assert watched.after() == []
    watched.telemetry.measure(JOB, "run.googleapis.com/job/completed_execution_count", 1, result="failed")
    (incident,) = watched.after()
    assert incident["value"] == 1
    assert incident["labels"]["job_name"] == "gc"
    assert watched.after(10)  # no more data: it stays open, as at Google, for a week
    assert watched.after(7 * 24 * 60) == []


def test_a_share_of_errors_is_a_ratio(watched: Watched) -> None:
    group = ["resource.labels.service_name"]
    below = [{"alignment_period": "300s", "per_series_aligner": "ALIGN_RATE", "cross_series_reducer": "REDUCE_SUM"}]
    ratio = {"denominator_filter": REQUESTS, "denominator_aggregations": [below[0] | {"group_by_fields": group}]}
    watched.policy(threshold(ERRORS, "ALIGN_RATE", 0.05, reducer="REDUCE_SUM", group=group, **ratio))
    watched.requests(200, 96)
    watched.requests(503, 4)
    assert watched.after() == []
    watched.requests(503, 2)
    (incident,) = watched.after()
    assert incident["value"] == pytest.approx(6 / 102)
    assert incident["labels"] == {"service_name": "echo"}
    watched.clock.push(timedelta(minutes=6))
    watched.requests(200, 100)
    watched.requests(503)
    assert watched.after() == []


@pytest.mark.parametrize(
    ("aligner", "reducer"), [("ALIGN_PERCENTILE_95", "REDUCE_MAX"), ("ALIGN_DELTA", "REDUCE_PERCENTILE_95")]
)
def test_a_percentile_of_latencies(watched: Watched, aligner: str, reducer: str) -> None:
    watched.policy(threshold(LATENCIES, aligner, 1000, reducer=reducer))
    watched.requests(200, 95, latency_s=0.2)
    watched.requests(200, 5, latency_s=9)
    assert watched.after() == []
    watched.requests(200, 2, latency_s=9)
    assert watched.after()[0]["value"] == pytest.approx(9000)


def test_a_threshold_that_terraform_sends_as_digits_is_that_number(watched: Watched) -> None:
    used = 'resource.type="cloudsql_database" AND metric.type="cloudsql.googleapis.com/database/disk/utilization"'
    watched.policy(threshold(used, "ALIGN_MEAN", "0.85", reducer="REDUCE_MAX"))  # no binary fraction is 0.85
    watched.telemetry.measure(DATABASE, "cloudsql.googleapis.com/database/disk/utilization", 0.8)
    assert watched.after() == []
    watched.telemetry.measure(DATABASE, "cloudsql.googleapis.com/database/disk/utilization", 0.95)
    assert watched.after()[0]["value"] == pytest.approx(0.875)


def test_a_duration_must_be_full_of_it(watched: Watched) -> None:
    watched.policy(threshold(INSTANCES, "ALIGN_MAX", 3, period="60s", reducer="REDUCE_SUM", duration="120s"))
    for minute in range(3):
        for state in ("active", "idle"):
            watched.telemetry.measure(REVISION, "run.googleapis.com/container/instance_count", 2, state=state)
        assert bool(watched.after()) is (minute == 2), minute
        watched.clock.push(timedelta(minutes=1))
    for state in ("active", "idle"):
        watched.telemetry.measure(REVISION, "run.googleapis.com/container/instance_count", 1, state=state)
    assert watched.after(0) == []


def test_a_check_that_fails_is_below_one(watched: Watched) -> None:
    below = {"comparison": "COMPARISON_LT"}
    watched.policy(threshold(CHECKS, "ALIGN_FRACTION_TRUE", 1, **below))
    check = "monitoring.googleapis.com/uptime_check/check_passed"
    watched.telemetry.measure(PAGE, check, 1, check_id="1")
    assert watched.after() == []
    watched.telemetry.measure(PAGE, check, 0, check_id="1")
    assert watched.after()[0]["value"] == 0.5


def test_missing_data_close_an_incident_where_the_policy_says_so(watched: Watched) -> None:
    inactive = {"duration": "60s", "evaluation_missing_data": "EVALUATION_MISSING_DATA_INACTIVE"}
    watched.policy(threshold(ERRORS, "ALIGN_SUM", 0, period="60s", **inactive))
    for _ in range(2):
        watched.requests(500)
        watched.clock.push(timedelta(minutes=1))
    watched.requests(500)
    assert watched.after()
    assert watched.after(2) == []


def test_what_is_not_heard_of_any_more_is_absent(watched: Watched) -> None:
    watched.policy({"condition_absent": [{"filter": REQUESTS, "duration": "600s"}]})
    watched.requests(200)
    assert watched.after(9) == []
    assert watched.after(2)
    watched.requests(200)
    assert watched.after() == []


def test_conditions_hold_together_or_one_is_enough(watched: Watched) -> None:
    both = (threshold(ERRORS, "ALIGN_SUM", 0), threshold(FAILED, "ALIGN_SUM", 0))
    watched.policy(*both, combiner="AND")
    watched.requests(500)
    assert watched.after() == []
    watched.telemetry.measure(JOB, "run.googleapis.com/job/completed_execution_count", 1, result="failed")
    assert len(watched.after()) == 2
    watched.policy(*both, enabled=False)
    assert len(watched.after()) == 2  # a policy that is off is not looked at


def test_a_trigger_counts_series(watched: Watched) -> None:
    watched.policy(threshold(ERRORS, "ALIGN_SUM", 0, trigger=[{"count": 2}]))
    watched.requests(500)
    assert watched.after() == []
    watched.requests(503)
    assert len(watched.after()) == 2


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"condition_prometheus_query_language": [{"query": "up"}]}, "has no meaning in the local cloud"),
        (
            threshold(
                'resource.type="cloud_run_revision" AND metric.type="run.googleapis.com/container/cpu/usage"',
                "ALIGN_SUM",
                0,
            ),
            "run.googleapis.com/container/cpu/usage is not measured here",
        ),
        (threshold(REQUESTS, "ALIGN_PERCENT_CHANGE", 0), "ALIGN_PERCENT_CHANGE with REDUCE_NONE has no meaning here"),
        (threshold(f'{REQUESTS} AND metadata.user_labels.team="a"', "ALIGN_SUM", 0), "groups and metadata"),
        (threshold(CHECKS, "ALIGN_FRACTION_TRUE", 0), "uptime checks are off"),
    ],
    ids=["PromQL", "metric", "aligner", "metadata", "uptime"],
)
def test_what_cannot_be_evaluated_is_said(condition: dict[str, Any], reason: str) -> None:
    assert reason in unevaluated({"conditions": [condition]}, uptime=False)


def test_every_metric_that_is_measured_is_one_of_googles() -> None:
    assert set(METRICS) >= MEASURED
