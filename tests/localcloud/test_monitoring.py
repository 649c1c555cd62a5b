"""What Monitoring refuses, in Google's words; and what it adds to what was sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.resource import ENABLED_API
from localcloud.services.metric_filter import MetricFilter
from localcloud.services.metrics import ALIGNERS, METRICS, RESOURCES
from localcloud.terraform import planning
from tests.localcloud.calls import block, enable, sent

if TYPE_CHECKING:
    from localcloud.provider import ResourceProvider
    from localcloud.resource import Cloud

POLICY, CHANNEL = "google_monitoring_alert_policy", "google_monitoring_notification_channel"
CHECK, DASHBOARD = "google_monitoring_uptime_check_config", "google_monitoring_dashboard"
FAILED = (
    'resource.type="cloud_run_job" AND metric.type="run.googleapis.com/job/completed_execution_count" '
    'AND metric.labels.result="failed"'
)


@pytest.fixture(autouse=True)
def apis(cloud: Cloud) -> None:
    enable(cloud, "monitoring")


def threshold(**changes: Any) -> dict[str, Any]:
    aggregation = {"alignment_period": "300s", "per_series_aligner": "ALIGN_SUM"}
    usual = {"filter": FAILED, "comparison": "COMPARISON_GT", "duration": "0s", "aggregations": [aggregation]}
    return {"display_name": "condition", "condition_threshold": [usual | changes]}


def matched(source: str = "severity>=ERROR") -> dict[str, Any]:
    return {"display_name": "condition", "condition_matched_log": [{"filter": source}]}


def policy(*conditions: dict[str, Any], limit: str = "", **changes: Any) -> dict[str, Any]:
    strategy = [{"notification_rate_limit": [{"period": limit}]}] if limit else []
    usual = {"display_name": "policy", "combiner": "OR", "conditions": list(conditions), "alert_strategy": strategy}
    return usual | changes


def series(source: str, aligner: str = "ALIGN_SUM", period: str = "60s", reducer: str | None = None) -> dict[str, Any]:
    aggregation = {"alignment_period": period, "per_series_aligner": aligner, "cross_series_reducer": reducer}
    return threshold(filter=source, aggregations=[aggregation])


REFUSED_POLICIES = {
    "no rate limit": (policy(matched()), "log-based alert policies must specify a notification rate limit"),
    "a rate limit": (policy(threshold(), limit="60s"), "only log-based alert policies may specify a notification rate"),
    "two conditions": (policy(matched(), threshold(), limit="60s"), "can only have a single condition"),
    "seven conditions": (policy(*[threshold()] * 7), "at most 6 are allowed"),
    "a bad log filter": (
        policy(matched('severity>="ERROR'), limit="60s"),
        'Field alert_policy.conditions[0].filter had an invalid value of "severity>="ERROR": Unparseable filter',
    ),
    "an unknown field": (policy(matched("level=ERROR"), limit="60s"), "Field not found: 'level'"),
    "no resource": (
        policy(series('metric.type="run.googleapis.com/request_count"')),
        'must specify a restriction on "resource.type" in the filter',
    ),
    "no metric": (policy(series('resource.type="cloud_run_job"')), 'must specify a restriction on "metric.type"'),
    "a metric that Google has not": (
        policy(series('resource.type="cloud_run_revision" AND metric.type="run.googleapis.com/requests"')),
        'Error 404: Cannot find metric(s) that match type = "run.googleapis.com/requests"',
    ),
    "a metric of logs that nobody has made": (
        policy(series('resource.type="cloud_run_revision" AND metric.type="logging.googleapis.com/user/denied"')),
        "it could take up to 10 minutes to become available",
    ),
    "a metric of something else": (
        policy(series('resource.type="cloud_run_job" AND metric.type="run.googleapis.com/request_count"')),
        "does not specify a valid combination of metric and monitored resource descriptors",
    ),
    "a label that it has not": (
        policy(series(FAILED.replace("result", "outcome"))),
        "Check the metric name and labels",
    ),
    "a regular expression": (policy(series(FAILED.replace('="failed"', '=~"fail.*"'))), "the operator =~"),
    "no period": (policy(series(FAILED, period="30s")), "must be between 60s and 90000s"),
    "an aligner of other metrics": (
        policy(series(FAILED, aligner="ALIGN_PERCENTILE_95")),
        "The aligner cannot be applied to metrics with kind DELTA and value type INT64.",
    ),
    "a reducer alone": (
        policy(series(FAILED, aligner="ALIGN_NONE", reducer="REDUCE_SUM")),
        "it must be specified with a cross-series reducer",
    ),
    "a duration of seconds": (policy(threshold(duration="90s")), "it must be a multiple of 60 seconds"),
    "a comparison": (policy(threshold(comparison="COMPARISON_GE")), "COMPARISON_GT and COMPARISON_LT are supported"),
    "missing data": (
        policy(threshold(evaluation_missing_data="EVALUATION_MISSING_DATA_INACTIVE")),
        "must have a non-zero duration",
    ),
    "a channel that is not there": (
        policy(threshold(), notification_channels=["projects/demo-project/notificationChannels/1"]),
        'Notification channel "projects/demo-project/notificationChannels/1" not found.',
    ),
}


@pytest.mark.parametrize(("config", "message"), REFUSED_POLICIES.values(), ids=REFUSED_POLICIES)
def test_a_policy_is_refused_as_monitoring_refuses_it(
    provider: ResourceProvider, config: dict[str, Any], message: str
) -> None:
    assert message in sent(provider, POLICY, None, config)[1]


def test_everything_that_is_wrong_with_a_policy_is_said_at_once(provider: ResourceProvider) -> None:
    config = policy(threshold(duration="90s", comparison="COMPARISON_EQ"), limit="60s")
    _, refused = sent(provider, POLICY, None, config)
    assert refused.count("Error 400") == 3


def test_a_metric_of_a_service_that_is_not_listed_is_taken_as_it_comes(provider: ResourceProvider) -> None:
    source = 'resource.type="pubsub_topic" AND metric.type="pubsub.googleapis.com/topic/message_sizes"'
    assert sent(provider, POLICY, None, policy(series(source, aligner="ALIGN_DELTA")))[1] == ""


def test_each_condition_has_a_name_that_stays(provider: ResourceProvider) -> None:
    made, _ = sent(provider, POLICY, None, policy(threshold(), threshold()))
    first, second = (condition["name"] for condition in made["conditions"])
    assert first != second
    assert first.startswith(f"{made['name']}/conditions/")
    changed = policy(threshold(threshold_value=2), threshold(), threshold())
    for before, condition in zip(made["conditions"], changed["conditions"], strict=False):
        condition["name"] = before["name"]
    found, refused = sent(provider, POLICY, made, changed)
    assert refused == ""
    names = [condition["name"] for condition in found["conditions"]]
    assert names[:2] == [first, second]
    assert len(set(names)) == 3


def test_two_policies_may_be_displayed_alike(provider: ResourceProvider, cloud: Cloud) -> None:
    names = {sent(provider, POLICY, None, policy(threshold()))[0]["name"] for _ in range(3)}
    assert len(names) == len(cloud.store.all(POLICY)) == 3


def test_a_channel_that_a_policy_names_is_not_deleted_unless_by_force(provider: ResourceProvider) -> None:
    mail = {"type": "email", "labels": {"email_address": "ada@example.com"}}
    channel, _ = sent(provider, CHANNEL, None, mail)
    made, _ = sent(provider, POLICY, None, policy(threshold(), notification_channels=[channel["name"]]))
    _, refused = sent(provider, CHANNEL, channel, None)
    assert f'because it is still being referenced by: "{made["name"]}"' in refused
    forced, _ = sent(provider, CHANNEL, channel, mail | {"force_delete": True})
    assert sent(provider, CHANNEL, forced, None) == (None, "")
    left = provider.read(POLICY, made)
    assert left
    assert left["notification_channels"] == []


def test_a_channel_by_mail_has_an_address(provider: ResourceProvider) -> None:
    assert "email_address" in sent(provider, CHANNEL, None, {"type": "email", "labels": {}})[1]


def check(**changes: Any) -> dict[str, Any]:
    resource = {"type": "uptime_url", "labels": {"host": "example.com", "project_id": "demo-project"}}
    usual = {"display_name": "check", "timeout": "10s", "http_check": [{"use_ssl": True}], "period": "300s"}
    return usual | {"monitored_resource": [resource]} | changes


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (check(period="120s"), "it must be one of 60s, 300s, 600s, 900s"),
        (check(timeout="90s"), "it must be between 1s and 60s"),
        (check(selected_regions=["EUROPE"]), "at least three locations must be selected"),
        (check(monitored_resource=[{"type": "uptime_url", "labels": {"project_id": "x"}}]), "labels is missing host"),
        (check(http_check=[{"body": "eA=="}]), "must be empty when the request method is GET"),
    ],
)
def test_a_check_is_refused_as_monitoring_refuses_it(
    provider: ResourceProvider, config: dict[str, Any], message: str
) -> None:
    assert message in sent(provider, CHECK, None, config)[1]


def test_a_write_only_password_is_in_no_plan(provider: ResourceProvider) -> None:
    words = {"username": "ada", "password_wo": "letters", "password_wo_version": "1"}
    config = planning.conform(block(CHECK), check(http_check=[{"auth_info": [words]}]))
    planned, _ = provider.plan(CHECK, None, config, config)
    assert planned
    assert "letters" not in repr(planned)
    made, refused = sent(provider, CHECK, None, check(http_check=[{"auth_info": [words]}]))
    assert refused == ""
    assert "letters" not in repr(made)


def test_a_check_that_a_policy_watches_is_not_deleted(provider: ResourceProvider) -> None:
    made, _ = sent(provider, CHECK, None, check())
    assert made["http_check"][0]["port"] == 443
    source = (
        'resource.type="uptime_url" AND metric.type="monitoring.googleapis.com/uptime_check/check_passed" '
        f'AND metric.labels.check_id="{made["uptime_check_id"]}"'
    )
    watching, refused = sent(provider, POLICY, None, policy(series(source, aligner="ALIGN_FRACTION_TRUE")))
    assert refused == ""
    assert "Error 400" in sent(provider, CHECK, made, None)[1]
    assert sent(provider, POLICY, watching, None) == (None, "")
    assert sent(provider, CHECK, made, None) == (None, "")


def test_a_dashboard_comes_back_with_its_name_and_is_alike(provider: ResourceProvider) -> None:
    written = {"displayName": "D", "gridLayout": {"widgets": [{"text": {"content": "x"}}]}}
    config = {"dashboard_json": json.dumps(written)}
    made, refused = sent(provider, DASHBOARD, None, config)
    assert refused == ""
    answered = json.loads(made["dashboard_json"])
    assert answered["name"] == made["id"]
    assert answered["gridLayout"]["widgets"] == [{"text": {"content": "x", "style": {}}}]
    proposed = made | config
    assert provider.plan(DASHBOARD, made, proposed, proposed)[0] == made
    proposed["dashboard_json"] = json.dumps({**written, "displayName": "E"})
    planned, replaced = provider.plan(DASHBOARD, made, proposed, proposed)
    assert planned != made
    assert replaced == []


@pytest.mark.parametrize("source", [{"gridLayout": {}}, {"displayName": "D"}, {"displayName": "D", "a": 1}])
def test_a_dashboard_has_a_name_and_one_layout(provider: ResourceProvider, source: dict[str, Any]) -> None:
    assert "Error 400" in sent(provider, DASHBOARD, None, {"dashboard_json": json.dumps(source)})[1]


def test_a_policy_is_imported_by_its_name(provider: ResourceProvider) -> None:
    made, _ = sent(provider, POLICY, None, policy(threshold()))
    assert provider.import_(POLICY, made["name"])["display_name"] == "policy"


@pytest.mark.parametrize("kind", [POLICY, CHANNEL, CHECK, DASHBOARD])
def test_its_api_must_be_enabled(provider: ResourceProvider, cloud: Cloud, kind: str) -> None:
    cloud.store.remove(ENABLED_API, "demo-project/monitoring.googleapis.com")
    dashboard = {"dashboard_json": json.dumps({"displayName": "D", "gridLayout": {}})}
    config = {POLICY: policy(threshold()), CHANNEL: {"type": "pubsub"}, CHECK: check()}.get(kind, dashboard)
    assert "SERVICE_DISABLED" in sent(provider, kind, None, config)[1]


def test_the_list_of_metrics_is_sound() -> None:
    assert len(METRICS) > 90
    for metric in METRICS.values():
        assert metric.kind in {"GAUGE", "DELTA"}
        assert metric.value_type in {"BOOL", "INT64", "DOUBLE", "STRING", "DISTRIBUTION"}
        assert set(metric.resources) <= set(RESOURCES)
        usable = [
            name for name, (kinds, types) in ALIGNERS.items() if {metric.kind} <= kinds and {metric.value_type} <= types
        ]
        assert usable, metric


def test_functions_choose_series() -> None:
    base = 'resource.type="cloud_run_job" AND metric.type="run.googleapis.com/job/completed_execution_count" AND '
    labels = {"job_name": "nightly-gc", "location": "europe-west1"}
    for condition, holds in {
        'resource.labels.job_name=starts_with("nightly-")': True,
        'resource.label."job_name"=ends_with("-gc")': True,
        'resource.labels.job_name=has_substring("weekly")': False,
        'resource.labels.job_name=one_of("nightly-gc", "x")': True,
        'resource.labels.job_name!=one_of("nightly-gc", "x")': False,
        'resource.labels.job_name=monitoring.regex.full_match("nightly-.*")': True,
        '(resource.labels.job_name="a" OR resource.labels.job_name="nightly-gc") metric.labels.result="failed"': True,
        'NOT metric.labels.result="failed"': False,
    }.items():
        assert MetricFilter.parse(base + condition).matches(labels, {"result": "failed"}) is holds, condition
