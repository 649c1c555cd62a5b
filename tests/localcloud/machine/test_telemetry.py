"""What containers print and how they end is logged, requests are counted, and a killed container raises an alert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from containers import images
from containers.engine import Engine
from harness.waiting import wait_for
from localcloud.machine.alerts import Alerts
from localcloud.machine.background import serving
from localcloud.machine.callers import EVERYBODY
from localcloud.machine.logbook import entries
from localcloud.machine.uptime import UptimeChecks
from localcloud.services.alerting import INCIDENT, AlertPolicy
from localcloud.services.logging_query import Query
from localcloud.services.metric_filter import MetricFilter
from localcloud.services.monitoring import UPTIME
from tests.localcloud.machine.echo_service import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSED = 'resource.type="uptime_url" AND metric.type="monitoring.googleapis.com/uptime_check/check_passed"'
COUNTED = 'resource.type="cloud_run_revision" AND metric.type="run.googleapis.com/request_count"'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    engine = Engine()
    place = Place(tmp_path_factory.mktemp("telemetry"), engine, images.build(engine), telemetry=True)
    with serving(place.application(), callers=EVERYBODY) as port:
        place.http.base_url = f"http://127.0.0.1:{port}"
        try:
            place.deploy()
            yield place
            place.do(place.services.close())
        finally:
            for container in place.containers():
                container.remove()


def log(place: Place, query: str) -> list[Any]:
    asked = Query(query)
    return [entry for entry in entries(place.logs) if asked.matches(entry)]


def test_a_request_is_an_entry_and_is_counted(place: Place) -> None:
    place.http.get("/", params={"x": "1"}, headers={"User-Agent": "a-test"})
    asked = 'log_id("run.googleapis.com/requests") AND httpRequest.userAgent="a-test"'
    wait_for(lambda: log(place, asked), "its entry")
    (entry,) = log(place, asked)
    assert entry["httpRequest"]["status"] == 200
    assert entry["httpRequest"]["requestUrl"].endswith("/?x=1")
    assert entry["resource"]["labels"]["service_name"] == "echo"
    assert entry["resource"]["labels"]["revision_name"] == "echo-00001"
    assert entry["severity"] == "INFO"
    assert [container.id for container in place.containers()] == [entry["labels"]["instanceId"]]
    assert place.telemetry
    found = place.telemetry.series.find(MetricFilter.parse(f'{COUNTED} AND metric.labels.response_code_class="2xx"'))
    assert sum(value for _, value in found[0].points) >= 1


def test_a_check_asks_the_front_door_and_keeps_what_it_heard(place: Place) -> None:
    assert place.telemetry
    checks = UptimeChecks(place.cloud, place.telemetry, int(place.http.base_url.port or 0))
    resource = {"type": "uptime_url", "labels": {"host": "echo.run.app", "project_id": "tests"}}
    check: Any = {
        "name": "projects/tests/uptimeCheckConfigs/1",
        "uptime_check_id": "1",
        "timeout": "10s",
        "monitored_resource": [resource],
        "http_check": [{"path": "/", "accepted_response_status_codes": []}],
    }
    place.do(checks.make(check))
    seen: Any = place.cloud.store.get(UPTIME, check["name"])
    assert (seen["passed"], seen["status"]) == (True, 200)
    passed = place.telemetry.series.find(MetricFilter.parse(f'{PASSED} AND metric.labels.check_id="1"'))
    assert len({series.labels["checker_location"] for series in passed}) == 6  # Google's alerts count them
    place.do(checks.make(check | {"uptime_check_id": "2", "selected_regions": ["USA"]}))
    assert len(place.telemetry.series.find(MetricFilter.parse(f'{PASSED} AND metric.labels.check_id="2"'))) == 3
    for changes, reason in (
        ({"http_check": [{"path": "/", "accepted_response_status_codes": [{"status_value": 401}]}]}, "status 200"),
        ({"content_matchers": [{"content": "no such text", "matcher": "CONTAINS_STRING"}]}, "the content is another"),
        ({"monitored_resource": [{**resource, "labels": {"host": "other.run.app"}}]}, "status 404"),
    ):
        place.do(checks.make(check | changes))
        seen = place.cloud.store.get(UPTIME, check["name"])
        assert (seen["passed"], seen["reason"]) == (False, reason)


def test_a_container_that_is_killed_raises_the_alert_that_it_should(place: Place) -> None:
    assert place.telemetry
    Alerts(place.cloud, place.telemetry)
    source = (
        'resource.type="cloud_run_revision" AND log_id("run.googleapis.com/varlog/system") '
        'AND textPayload=~"^Container (called exit\\([1-9]|terminated on signal)"'
    )
    condition = {"name": "p/conditions/1", "display_name": "ended", "condition_matched_log": [{"filter": source}]}
    policy: Any = {"name": "p", "display_name": "containers", "conditions": [condition]}
    place.cloud.store.put(AlertPolicy.type, "p", policy)
    (container,) = place.containers()
    container.signal("KILL")
    wait_for(lambda: place.cloud.store.all(INCIDENT), "an incident")
    (incident,) = place.cloud.store.all(INCIDENT)
    found: Any = incident["entry"]
    assert found["textPayload"] == "Container terminated on signal 9."
    assert found["severity"] == "WARNING"
    assert found["resource"]["labels"]["service_name"] == "echo"
