"""What a person can store so that the answers to others are large; by SQL, as the API takes hours for it."""

import json

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness.databases import Postgres
from harness.load import API
from tests.image import traces

RUNS, METRICS = 400, 300
METRICS_OF_ONE = 120_000
VERSIONS = 100
TRACE = "tr-" + "02" * 16
LONG_TRACE = "tr-" + "03" * 16
SQL = f"""
INSERT INTO runs (run_uuid, name, user_id, artifact_uri, experiment_id, lifecycle_stage, status, start_time)
  SELECT md5(i::text), 'run', 'ada', 'gs://artifacts', 0, 'active', 'FINISHED', i FROM generate_series(1, {RUNS}) i;
INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
  SELECT 'm' || k, i, 1, 1, false, md5(i::text) FROM generate_series(1, {RUNS}) i, generate_series(1, {METRICS}) k;
INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, workspace)
  VALUES (77, 'wide', 'gs://artifacts/77', 'active', 'default');
INSERT INTO runs (run_uuid, name, user_id, artifact_uri, experiment_id, lifecycle_stage, status, start_time)
  VALUES (md5('wide'), 'wide', 'ada', 'gs://artifacts', 77, 'active', 'FINISHED', 1);
INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
  SELECT 'm' || k, k, 1, 1, false, md5('wide') FROM generate_series(1, {METRICS_OF_ONE}) k;
INSERT INTO registered_models (name, creation_time, last_updated_time, workspace) VALUES ('prompt', 1, 1, 'default');
INSERT INTO model_versions (name, version, creation_time, last_updated_time, current_stage, source, status, workspace)
  SELECT 'prompt', i, i, i, 'None', 'dummy-source', 'READY', 'default' FROM generate_series(1, {VERSIONS}) i;
INSERT INTO model_version_tags (key, value, name, version, workspace)
  SELECT 'text', repeat(chr(233), 100000), 'prompt', i, 'default' FROM generate_series(1, {VERSIONS}) i;
ANALYZE;
"""  # noqa: S608
# Nine more of each span.
SPANS = """
INSERT INTO spans
  (trace_id, experiment_id, span_id, name, type, status, start_time_unix_nano, end_time_unix_nano, content)
  SELECT trace_id, experiment_id, substr(md5(span_id || k), 1, 16), name, type, status, start_time_unix_nano + k,
    end_time_unix_nano + k, replace(content, span_id, substr(md5(span_id || k), 1, 16))
  FROM spans, generate_series(1, 9) k
"""


def spans(trace: str, count: int, value: str, tag: tuple[str, str] | None = None) -> bytes:
    """Returns an export of a trace's spans, each with an input and what sets a tag of the trace."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(1, count + 1):
        span = scope.spans.add(
            trace_id=bytes.fromhex(trace.removeprefix("tr-")),
            span_id=number.to_bytes(8, "big"),
            name="s",
            start_time_unix_nano=number,
            end_time_unix_nano=number + 1,
        )
        span.attributes.add(key="mlflow.spanInputs").value.string_value = value
        if tag:
            span.attributes.add(key=f"mlflow.traceTag.{tag[0]}").value.string_value = tag[1]
    return request.SerializeToString()


def fill(postgres: Postgres, database: str, http: httpx.Client) -> str:
    """Stores it; returns the id of a dataset with large records."""
    traces.export(http, spans(TRACE, 5, json.dumps([1.5] * 20_000))).raise_for_status()
    traces.export(http, spans(LONG_TRACE, 5, json.dumps("x" * 1_000_000))).raise_for_status()
    postgres.execute(SPANS, database=database)
    postgres.execute(SQL, database=database)
    made = http.post("/api/3.0/mlflow/datasets/create", json={"name": "large", "experiment_ids": ["0"]})
    dataset: str = made.raise_for_status().json()["dataset"]["dataset_id"]
    rows = [{"inputs": {"q": [{"a": number}] * 20_000, "number": number}} for number in range(20)]
    for row in rows:
        body = {"records": json.dumps([row])}
        http.post(f"/api/3.0/mlflow/datasets/{dataset}/records", json=body).raise_for_status()
    http.get(f"{API}/experiments/get?experiment_id=77").raise_for_status()
    return dataset
