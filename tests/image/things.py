"""What a caller can make in MLflow, who claims to be somebody else, and where the thing says who made it."""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness.service import Service

BOB = "bob@example.com"
LIE = "root"
CLAIM = "client.user"
TAG = "mlflow.user"
API, AJAX, API3, AJAX3 = "/api/2.0/mlflow", "/ajax-api/2.0/mlflow", "/api/3.0/mlflow", "/ajax-api/3.0/mlflow"
LIES = [{"key": TAG, "value": LIE}]


@dataclass(frozen=True)
class Person:
    """Somebody who calls the service, in a workspace of MLflow's."""

    service: Service
    email: str
    workspace: str = ""

    def headers(self) -> dict[str, str]:
        """Returns what says who calls, and where."""
        place = {"X-MLFLOW-WORKSPACE": self.workspace} if self.workspace else {}
        return self.service.bearer(email=self.email) | place

    def send(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Sends JSON."""
        own = self.headers() | headers
        return self.service.http.request(method, path, json=body, headers=own)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Sends JSON; returns the answer's."""
        answer = self.send(method, path, body, **headers)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str, **query: str) -> Any:
        """Returns what the service answers."""
        answer = self.service.http.get(path, params=query, headers=self.headers())
        assert answer.is_success, answer.text
        return answer.json()


def tags_of(found: list[dict[str, str]]) -> dict[str, str]:
    """Returns tags by their names."""
    return {tag["key"]: tag["value"] for tag in found}


def name() -> str:
    """Returns a name that no other test has."""
    return f"n{secrets.token_hex(6)}"


def new_experiment(person: Person, api: str = API) -> str:
    return person.ask("POST", f"{api}/experiments/create", {"name": name(), "tags": LIES})["experiment_id"]


def new_run(person: Person, api: str = API) -> str:
    body = {"experiment_id": "0", "user_id": LIE, "tags": LIES}
    run = person.ask("POST", f"{api}/runs/create", body)["run"]
    assert (run["info"]["user_id"], tags_of(run["data"]["tags"])[TAG]) == (
        person.email,
        person.email,
    )  # the answer, too
    return run["info"]["run_id"]


def new_logged_model(person: Person) -> str:
    body = {"experiment_id": "0", "name": name(), "tags": LIES}
    return person.ask("POST", f"{API}/logged-models", body)["model"]["info"]["model_id"]


def new_registered_model(person: Person) -> str:
    return person.ask("POST", f"{API}/registered-models/create", {"name": name(), "tags": LIES})["registered_model"][
        "name"
    ]


def new_prompt(person: Person) -> str:
    tags = [*LIES, {"key": "mlflow.prompt.is_prompt", "value": "true"}]
    return person.ask("POST", f"{API}/registered-models/create", {"name": name(), "tags": tags})["registered_model"][
        "name"
    ]


def new_version(person: Person) -> str:
    model = new_registered_model(person)
    body = {"name": model, "source": "gs://artifacts/x", "tags": LIES}
    found = person.ask("POST", f"{API}/model-versions/create", body)["model_version"]
    assert found["user_id"] == person.email
    return model


def new_trace(person: Person, trace: str = "", assessments: object = ()) -> str:
    info = {
        "trace_id": trace or f"tr-{secrets.token_hex(16)}",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
        "request_time": "2026-01-01T00:00:00Z",
        "state": "OK",
        "trace_metadata": {TAG: LIE},
        "tags": {TAG: LIE},
        "assessments": assessments,
    }
    return person.ask("POST", f"{API3}/traces", {"trace": {"trace_info": info}})["trace"]["trace_info"]["trace_id"]


def new_old_trace(person: Person) -> str:
    body = {"experiment_id": "0", "timestamp_ms": 1, "request_metadata": LIES, "tags": LIES}
    trace = person.ask("POST", f"{API}/traces", body)["trace_info"]["request_id"]
    person.ask(
        "PATCH", f"{API}/traces/{trace}", {"timestamp_ms": 2, "status": "OK", "request_metadata": LIES, "tags": LIES}
    )
    return trace


def new_spans(person: Person) -> str:
    trace = secrets.token_bytes(16)
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=trace, span_id=b"\3" * 8, name="s")
    span.start_time_unix_nano, span.end_time_unix_nano = time.time_ns(), time.time_ns() + 1
    for key in (f"mlflow.traceTag.{TAG}", f"mlflow.traceMetadata.{TAG}"):
        span.attributes.add(key=key).value.string_value = json.dumps(LIE)
    headers = person.service.bearer(email=person.email) | {"x-mlflow-experiment-id": "0"}
    headers |= {"Content-Type": "application/x-protobuf"}
    answer = person.service.http.post("/v1/traces", content=request.SerializeToString(), headers=headers)
    assert answer.is_success, answer.text
    return f"tr-{trace.hex()}"


def new_dataset(person: Person) -> str:
    body = {"name": name(), "experiment_ids": ["0"], "tags": json.dumps({TAG: LIE})}
    return person.ask("POST", f"{API3}/datasets/create", body)["dataset"]["dataset_id"]


def experiment_tags(person: Person, thing: str) -> dict[str, str]:
    return tags_of(person.get(f"{API}/experiments/get", experiment_id=thing)["experiment"]["tags"])


def run_tags(person: Person, thing: str) -> dict[str, str]:
    found = person.get(f"{API}/runs/get", run_id=thing)["run"]
    assert found["info"]["user_id"] == tags_of(found["data"]["tags"])[TAG]
    return tags_of(found["data"]["tags"])


def logged_model_tags(person: Person, thing: str) -> dict[str, str]:
    return tags_of(person.get(f"{API}/logged-models/{thing}")["model"]["info"]["tags"])


def registered_model_tags(person: Person, thing: str) -> dict[str, str]:
    return tags_of(person.get(f"{API}/registered-models/get", name=thing)["registered_model"]["tags"])


def version_tags(person: Person, thing: str) -> dict[str, str]:
    return tags_of(person.get(f"{API}/model-versions/get", name=thing, version="1")["model_version"]["tags"])


def trace_tags(person: Person, thing: str) -> dict[str, str]:
    info = person.get(f"{API3}/traces/{thing}")["trace"]["trace_info"]
    assert info["trace_metadata"][TAG] == info["tags"][TAG]
    return info["tags"]


def dataset_tags(person: Person, thing: str) -> dict[str, str]:
    found = person.get(f"{API3}/datasets/{thing}")["dataset"]
    tags = json.loads(found["tags"])
    assert found["created_by"] == tags[TAG]
    return tags


Make, Read = Callable[[Person], str], Callable[[Person, str], dict[str, str]]
THINGS: dict[str, tuple[Make, Read]] = {
    "experiment": (new_experiment, experiment_tags),
    "experiment by the page": (lambda person: new_experiment(person, AJAX), experiment_tags),
    "run": (new_run, run_tags),
    "run by the page": (lambda person: new_run(person, AJAX), run_tags),
    "logged model": (new_logged_model, logged_model_tags),
    "registered model": (new_registered_model, registered_model_tags),
    "prompt": (new_prompt, registered_model_tags),
    "version": (new_version, version_tags),
    "trace": (new_trace, trace_tags),
    "trace of an older client": (new_old_trace, trace_tags),
    "spans": (new_spans, trace_tags),
    "dataset": (new_dataset, dataset_tags),
}
