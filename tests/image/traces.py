"""Traces as OpenTelemetry's exporters send them: one span each, in protobuf."""

import secrets
import time

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

PATH = "/v1/traces"
EXPERIMENT = "0"  # Default, which every new database has


def body(name: str) -> bytes:
    """Returns an export of one trace with one span."""
    now = time.time_ns()
    span = Span(
        trace_id=secrets.token_bytes(16),
        span_id=secrets.token_bytes(8),
        name=name,
        start_time_unix_nano=now,
        end_time_unix_nano=now + 1000,
        attributes=[KeyValue(key="number", value=AnyValue(string_value=name))],
    )
    resource = ResourceSpans(resource=Resource(), scope_spans=[ScopeSpans(spans=[span])])
    return ExportTraceServiceRequest(resource_spans=[resource]).SerializeToString()


def export(http: httpx.Client, content: bytes, *, headers: dict[str, str] | None = None) -> httpx.Response:
    """Sends an export; `headers` go beside or in place of an exporter's own."""
    own = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": EXPERIMENT}
    return http.post(PATH, content=content, headers=own | (headers or {}))
