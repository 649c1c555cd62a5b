"""Values that no database can hold, by every route: a clear 400 at once on both engines, never an error of ours."""

import json
import time
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness.service import Service

API = "/api/2.0/mlflow"
API3 = "/api/3.0/mlflow"
LONG = "x" * 300
LONGER = "x" * 70_000
NUL, HALF = "a\0b", "a\ud800b"


@pytest.fixture(scope="module")
def run_id(either: Service) -> str:
    return send(either, "POST", f"{API}/runs/create", {"experiment_id": "0"}).json()["run"]["info"]["run_id"]


@pytest.fixture(scope="module")
def model(either: Service) -> str:
    assert send(either, "POST", f"{API}/registered-models/create", {"name": "model"}).status_code == 200
    return "model"


def send(service: Service, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
    """Sends JSON as it is: httpx itself does not encode half a surrogate pair."""
    headers = service.bearer() | {"Content-Type": "application/json"}
    return service.http.request(method, path, content=json.dumps(body).encode(), headers=headers)


# (path, body); TEXT is replaced by a text that cannot be stored, RUN by a run's id.
TEXTS: list[tuple[str, dict[str, Any]]] = [
    (f"{API}/experiments/create", {"name": "TEXT"}),
    (f"{API}/experiments/set-experiment-tag", {"experiment_id": "0", "key": "TEXT", "value": "v"}),
    (f"{API}/experiments/set-experiment-tag", {"experiment_id": "0", "key": "k", "value": "TEXT"}),
    (f"{API}/experiments/search", {"filter": "name = 'TEXT'", "max_results": 5}),
    (f"{API}/runs/create", {"experiment_id": "0", "run_name": "TEXT"}),
    (f"{API}/runs/create", {"experiment_id": "0", "user_id": "TEXT"}),
    (f"{API}/runs/update", {"run_id": "RUN", "run_name": "TEXT"}),
    (f"{API}/runs/set-tag", {"run_id": "RUN", "key": "k", "value": "TEXT"}),
    (f"{API}/runs/log-parameter", {"run_id": "RUN", "key": "k", "value": "TEXT"}),
    (f"{API}/runs/log-metric", {"run_id": "RUN", "key": "TEXT", "value": 1, "timestamp": 1}),
    (f"{API}/runs/log-batch", {"run_id": "RUN", "params": [{"key": "p", "value": "TEXT"}]}),
    (f"{API}/runs/log-batch", {"run_id": "RUN", "tags": [{"key": "TEXT", "value": "v"}]}),
    (f"{API}/runs/search", {"experiment_ids": ["0"], "filter": "tags.a = 'TEXT'"}),
    (f"{API}/runs/search", {"experiment_ids": ["TEXT"]}),
    (f"{API}/registered-models/create", {"name": "TEXT"}),
    (f"{API}/registered-models/create", {"name": "n", "description": "TEXT"}),
    (f"{API}/registered-models/set-tag", {"name": "model", "key": "k", "value": "TEXT"}),
    (f"{API}/registered-models/alias", {"name": "model", "alias": "TEXT", "version": "1"}),
    (f"{API}/logged-models", {"experiment_id": "0", "name": "TEXT"}),
    (f"{API3}/datasets/create", {"name": "TEXT", "experiment_ids": ["0"]}),
    (f"{API3}/scorers/register", {"experiment_id": "0", "name": "TEXT", "serialized_scorer": "{}"}),
]


@pytest.mark.parametrize("text", [NUL, HALF], ids=["NUL", "half a pair"])
@pytest.mark.parametrize("number", range(len(TEXTS)), ids=[f"{path} {body}" for path, body in TEXTS])
def test_a_text_that_cannot_be_stored_is_a_bad_request(
    either: Service, run_id: str, model: str, number: int, text: str
) -> None:
    assert model
    path, body = TEXTS[number]
    filled = json.loads(json.dumps(body).replace("RUN", run_id).replace("TEXT", json.dumps(text)[1:-1]))
    answer = send(either, "POST", path, filled)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["message"]
    for word in ("SELECT", "INSERT", "psycopg2", "pymysql"):
        assert word not in answer.text


@pytest.mark.parametrize("query", ["run_id=a%00b", "run_id=%ED%A0%80"])
def test_a_text_of_the_query_that_cannot_be_stored_is_no_error_of_ours(either: Service, query: str) -> None:
    answer = either.http.get(f"{API}/runs/get?{query}", headers=either.bearer())
    assert 400 <= answer.status_code < 500, answer.text


LONG_TEXTS: list[tuple[str, dict[str, Any]]] = [
    ("runs/create", {"experiment_id": "0", "run_name": LONG}),
    ("runs/create", {"experiment_id": "0", "user_id": LONG}),
    ("runs/create", {"experiment_id": "0", "tags": [{"key": "mlflow.source.name", "value": "x" * 9000}]}),
    ("experiments/create", {"name": LONG + LONG}),
    ("registered-models/create", {"name": LONG}),
    ("registered-models/create", {"name": "d", "description": LONGER}),
    ("registered-models/alias", {"name": "model", "alias": LONG, "version": "1"}),
    ("logged-models", {"experiment_id": "0", "name": LONG + LONG}),
    ("logged-models", {"experiment_id": "0", "name": "m", "model_type": LONG + LONG}),
]


@pytest.mark.parametrize(("path", "body"), LONG_TEXTS)
def test_a_text_that_is_too_long_is_a_bad_request_and_nothing_of_sql(
    either: Service, model: str, path: str, body: dict[str, Any]
) -> None:
    assert model
    answer = send(either, "POST", f"{API}/{path}", body)
    assert answer.status_code in (200, 400), answer.text
    for word in ("SELECT", "INSERT", "psycopg2", "pymysql", "%("):
        assert word not in answer.text


def test_the_sentence_names_the_column_and_the_length(either: Service) -> None:
    answer = send(either, "POST", f"{API}/runs/create", {"experiment_id": "0", "run_name": LONG})
    assert answer.status_code == 400
    assert "'name' has 300 characters; at most 250" in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "body", "key", "longest"),
    [
        ("experiments/create", {}, "name", 256),
        ("registered-models/create", {}, "name", 256),
        ("runs/create", {"experiment_id": "0"}, "run_name", 250),
    ],
)
def test_a_name_that_is_one_character_too_long_is_refused_with_its_limit(
    either: Service, path: str, body: dict[str, Any], key: str, longest: int
) -> None:
    assert send(either, "POST", f"{API}/{path}", {**body, key: "x" * longest}).status_code == 200
    answer = send(either, "POST", f"{API}/{path}", {**body, key: "x" * (longest + 1)})
    assert answer.status_code == 400
    assert (
        answer.json()["message"] == f"A value for 'name' has {longest + 1} characters; at most {longest} can be stored."
    )


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (
            "runs/log-parameter",
            {"key": "k" * 251, "value": "1"},
            "'Param key' exceeds the maximum length of 250 characters",
        ),
        (
            "runs/log-metric",
            {"key": "k" * 251, "value": 1, "timestamp": 1},
            "'Metric name' exceeds the maximum length of 250",
        ),
        ("runs/log-metric", {"key": "a#b", "value": 1, "timestamp": 1}, "Names may only contain"),
        ("runs/log-parameter", {"key": "once", "value": "2"}, "Changing param values is not allowed"),
        (
            "runs/log-batch",
            {"metrics": [{"key": "m", "value": 1, "timestamp": 1}] * 1001},
            "A batch logging request can contain at most 1000 metrics",
        ),
        (
            "runs/log-batch",
            {"params": [{"key": f"p{number}", "value": "1"} for number in range(101)]},
            "A batch logging request can contain at most 100 params",
        ),
        (
            "runs/search",
            {"experiment_ids": ["0"], "filter": "metrics.a > 1 OR metrics.b > 1"},
            "Invalid clause(s) in filter string: 'OR'",
        ),
    ],
)
def test_what_mlflow_itself_refuses_is_said_in_its_words(
    either: Service, run_id: str, path: str, body: dict[str, Any], words: str
) -> None:
    send(either, "POST", f"{API}/runs/log-parameter", {"run_id": run_id, "key": "once", "value": "1"})
    named = {} if path == "runs/search" else {"run_id": run_id}
    answer = send(either, "POST", f"{API}/{path}", {**named, **body})
    assert answer.status_code == 400
    assert words in answer.json()["message"]


def test_a_deleted_experiment_keeps_its_name(either: Service) -> None:
    made = send(either, "POST", f"{API}/experiments/create", {"name": "deleted"}).json()
    assert send(either, "POST", f"{API}/experiments/delete", made).status_code == 200
    answer = send(either, "POST", f"{API}/experiments/create", {"name": "deleted"})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Experiment(name=deleted) already exists")
    assert send(either, "POST", f"{API}/experiments/restore", made).status_code == 200


NUMBERS: list[dict[str, Any]] = [
    {"value": float("nan")},
    {"value": float("inf")},
    {"value": -float("inf")},
    {"value": "NaN"},
    {"value": 1e308},
    {"value": 10**400},
    {"value": 1, "step": 2**63 - 1},
    {"value": 1, "step": 2**63},
    {"value": 1, "step": -(2**63)},
    {"value": 1, "timestamp": 2**63},
    {"value": 1, "timestamp": -1},
    {"value": 1, "timestamp": "1" * 400},
    {"value": 1, "step": 1.5},
]


@pytest.mark.parametrize("number", NUMBERS, ids=[str(number)[:60] for number in NUMBERS])
@pytest.mark.parametrize("batch", [True, False])
def test_no_number_is_an_error_of_ours(either: Service, run_id: str, number: dict[str, Any], *, batch: bool) -> None:
    metric = {"key": "m", "timestamp": 1, "step": 0} | number
    if batch:
        answer = send(either, "POST", f"{API}/runs/log-batch", {"run_id": run_id, "metrics": [metric]})
    else:
        answer = send(either, "POST", f"{API}/runs/log-metric", {"run_id": run_id} | metric)
    assert answer.status_code in (200, 400), answer.text


@pytest.mark.parametrize("place", ["name", "attribute", "status"])
def test_a_span_with_a_nul_does_not_fail_the_server(either: Service, place: str) -> None:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    now = time.time_ns()
    span = scope.spans.add(trace_id=b"\2" * 16, span_id=b"\3" * 8, name="s", start_time_unix_nano=now)
    span.end_time_unix_nano = now + 1
    if place == "name":
        span.name = NUL
    elif place == "attribute":
        span.attributes.add(key="mlflow.spanInputs").value.string_value = json.dumps(NUL)
    else:
        span.status.message = NUL
    headers = either.bearer() | {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": "0"}
    answer = either.http.post("/v1/traces", content=request.SerializeToString(), headers=headers)
    assert answer.status_code in (200, 400), answer.text


@pytest.mark.parametrize(
    "query",
    ["", "run_id=x", "metric_key=m", "run_id=x&metric_key=m&max_results=a", "run_id=x&metric_key=m&max_results=-1"],
)
def test_a_bulk_of_histories_with_a_wrong_query_is_a_bad_request(either: Service, query: str) -> None:
    path = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
    answer = either.http.get(f"{path}?{query}", headers=either.bearer())
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"]
