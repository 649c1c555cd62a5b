"""Filters of logs mean here what they mean at Google: https://cloud.google.com/logging/docs/view/logging-query-language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localcloud.services.logging_query import Query
from localcloud.services.query import BadFilter

if TYPE_CHECKING:
    from localcloud.terraform.model import Object

ENTRY: Object = {
    "logName": "projects/acme/logs/run.googleapis.com%2Fstderr",
    "resource": {"type": "cloud_run_revision", "labels": {"service_name": "echo", "location": "europe-west1"}},
    "severity": "ERROR",
    "timestamp": "2026-05-01T12:00:00.5Z",
    "labels": {"run.googleapis.com/execution_name": "gc-x7k2p", "instanceId": "0069"},
    "jsonPayload": {
        "message": "Permission denied on gs://bucket",
        "logger": "gc",
        "summary": {"status": 75, "seconds": 12.5, "ok": False, "what": ["runs", "traces"]},
    },
    "httpRequest": {"status": 503, "requestMethod": "GET", "requestUrl": "https://echo.run.app/api"},
}
HOLDS = [
    'resource.type="cloud_run_revision"',
    "resource.type=cloud_run_revision",
    'resource.type="cloud_run_revision" AND severity>=ERROR',
    'resource.type="cloud_run_revision"\nseverity>=ERROR  -- the rest of the line says nothing\n',
    "severity>=WARNING",
    "severity=error",
    "severity>300",
    'severity=("ERROR" OR "CRITICAL")',
    "NOT severity<ERROR",
    "-severity=INFO",
    "jsonPayload.summary.status>0",
    "jsonPayload.summary.status=75",
    'jsonPayload.summary.status="75"',
    "jsonPayload.summary.seconds<=12.5",
    "jsonPayload.summary.ok=false",
    "jsonPayload.summary.what=traces",
    'json_payload.logger="gc"',
    'jsonPayload.message:"permission DENIED"',
    'jsonPayload.message=~"denied on gs://[a-z]+$"',
    r'jsonPayload.message!~"^\d"',
    'jsonPayload.message="PERMISSION DENIED ON GS://BUCKET"',
    "jsonPayload.summary:*",
    "jsonPayload:summary",
    'labels."run.googleapis.com/execution_name"="gc-x7k2p"',
    'log_id("run.googleapis.com/stderr")',
    'logName:"stderr"',
    'log_name="projects/acme/logs/run.googleapis.com%2Fstderr"',
    "httpRequest.status>=500",
    'http_request.request_method="GET"',
    'timestamp>="2026-05-01T00:00:00Z"',
    'timestamp<"2026-05-01T12:00:01+00:00"',
    'trace=""',  # a field of every entry, with its default
    "traceSampled!=true",
    '"permission denied"',
    "europe-west1",
    # NOT before OR before AND
    'severity=ERROR AND resource.type="a" OR resource.type="cloud_run_revision"',
    'severity=INFO OR severity=ERROR resource.labels.service_name="echo"',
]
DOES_NOT_HOLD = [
    "severity>ERROR",
    "severity=INFO",
    'jsonPayload.message=~"^denied"',
    'jsonPayload.message=~"DENIED"',  # regular expressions heed the case
    "jsonPayload.missing=1",
    "jsonPayload.missing!=1",  # nor does any other comparison with what is not there
    'labels.missing!~"x"',
    "jsonPayload.missing:*",
    "jsonPayload.summary.status<0",
    'jsonPayload.summary.status="many"',
    'log_id("run.googleapis.com/stdout")',
    "httpRequest.status<500",
    'severity=INFO OR severity=ERROR AND resource.type="other"',
    'NOT resource.type="cloud_run_revision" OR severity=INFO',
    '"no such text"',
]
REFUSED = {
    'severity="ERROR': "line 1, column 10",
    "severity=ERROR\nAND (resource.type=x": "line 2, column 21",
    "severity=": "the end",
    "AND severity=ERROR": "token 'AND'",
    "payload.message=x": "Field not found: 'payload.message'",
    "resource.name=x": "Field not found: 'resource.name'",
    'jsonPayload.message=~"("': "Invalid regular expression",
    "sample(insertId, 0.1)": "the function sample has no meaning",
    'ip_in_net(httpRequest.remoteIp, "10.0.0.0/8")': "the function ip_in_net has no meaning",
    "": "the end",
}


@pytest.mark.parametrize("text", HOLDS)
def test_a_filter_finds_the_entry(text: str) -> None:
    assert Query(text).matches(ENTRY)


@pytest.mark.parametrize("text", DOES_NOT_HOLD)
def test_a_filter_leaves_the_entry_out(text: str) -> None:
    assert not Query(text).matches(ENTRY)


@pytest.mark.parametrize(("text", "reason"), REFUSED.items())
def test_what_is_no_filter_is_refused_with_the_place(text: str, reason: str) -> None:
    with pytest.raises(BadFilter) as refused:
        Query(text)
    assert reason in str(refused.value)


def test_an_entry_without_a_severity_has_the_default_one() -> None:
    assert Query("severity=DEFAULT").matches({"textPayload": "x"})
    assert not Query("severity>=INFO").matches({"textPayload": "x"})
