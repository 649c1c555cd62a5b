"""The things of an owner, each with a mark, and a call about them for every route of MLflow's that is on."""

import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from harness.service import Platform
from tests.image.things import API, API3, Person, name

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun.features import features, graphql_operations
from mlflow_cloudrun.identity import Asked
from mlflow_cloudrun.routes import PARAMETER, operation

Route = tuple[str, str, str]
"""Method, template and name."""

# Who has which role, and what the container is told of it.
ADMIN, OWNER, STRANGER, READER = (f"{name}@example.com" for name in ("root", "olga", "sam", "rita"))
SETTINGS: dict[str, object] = {"default": "NO_PERMISSIONS", "admins": [ADMIN], "readers": [READER], "teams": {}}

# In whatever the owner has written, and in no request about it.
MARK, VALUE = f"mark{secrets.token_hex(6)}", 481516.25
OPEN = {"/", "/health", "/version", "/static-files/{path:path}"}
GRAPHQL = {
    "mlflowGetExperiment": '(input: {experimentId: "$experiment_id"}) {experiment {tags {value}}}',
    "mlflowGetMetricHistoryBulkInterval": '(input: {runIds: ["$run_id"], metricKey: "m", maxResults: 5}) '
    "{metrics {value}}",
    "mlflowGetRun": '(input: {runId: "$run_id"}) {run {data {tags {value}}}}',
    "mlflowListArtifacts": '(input: {runId: "$run_id", path: "x"}) {files {path}}',
    "mlflowSearchDatasets": '(input: {experimentIds: ["$experiment_id"]}) {datasetSummaries {name}}',
    "mlflowSearchModelVersions": "(input: {filter: \"name='$name'\"}) {modelVersions {description}}",
    "mlflowSearchRuns": '(input: {experimentIds: ["$experiment_id"]}) {runs {data {tags {value}}}}',
}


def make(olga: Person, platform: Platform) -> dict[str, str]:
    """Makes one thing of each kind, each with the mark; returns their ids."""
    tag = {"key": "t", "value": MARK}
    experiment = olga.ask("POST", f"{API}/experiments/create", {"name": name(), "tags": [tag]})["experiment_id"]
    run = olga.ask("POST", f"{API}/runs/create", {"experiment_id": experiment, "tags": [tag]})["run"]["info"]
    made = {"experiment_id": experiment, "run_id": run["run_id"], "name": name()}
    metric = {"key": "m", "value": VALUE, "timestamp": 1, "step": 1}
    olga.ask("POST", f"{API}/runs/log-batch", {"run_id": run["run_id"], "metrics": [metric], "params": [tag]})
    dataset = {"name": MARK, "digest": "d", "source_type": "s", "source": "s"}
    olga.ask("POST", f"{API}/runs/log-inputs", {"run_id": run["run_id"], "datasets": [{"dataset": dataset}]})
    olga.ask("POST", f"{API}/registered-models/create", {"name": made["name"], "description": MARK})
    version = {"name": made["name"], "source": run["artifact_uri"], "run_id": run["run_id"], "description": MARK}
    olga.ask("POST", f"{API}/model-versions/create", version)
    olga.ask("POST", f"{API}/registered-models/alias", {"name": made["name"], "alias": "a", "version": "1"})
    model = {"experiment_id": experiment, "name": "x", "tags": [tag]}
    logged = olga.ask("POST", f"{API}/logged-models", model)["model"]["info"]
    made["model_id"] = logged["model_id"]
    made["trace_id"] = trace_in(olga, experiment)
    feedback = {"assessment_name": "a", "trace_id": made["trace_id"], "feedback": {"value": MARK}}
    feedback |= {"create_time": "2026-01-01T00:00:00Z", "last_update_time": "2026-01-01T00:00:00Z"}
    feedback |= {"source": {"source_type": "HUMAN", "source_id": "x"}}
    kept = olga.ask("POST", f"{API3}/traces/{made['trace_id']}/assessments", {"assessment": feedback})
    made["assessment_id"] = kept["assessment"]["assessment_id"]
    records = {"name": name(), "experiment_ids": [experiment], "tags": json.dumps({"t": MARK})}
    made["dataset_id"] = olga.ask("POST", f"{API3}/datasets/create", records)["dataset"]["dataset_id"]
    record = json.dumps([{"inputs": {"q": MARK}}])
    olga.ask("POST", f"{API3}/datasets/{made['dataset_id']}/records", {"records": record})
    issue = {"experiment_id": experiment, "name": "n", "description": MARK, "status": "pending"}
    made["issue_id"] = olga.ask("POST", f"{API3}/issues", issue)["issue"]["issue_id"]
    made["server"] = f"com.example/{name()}"
    olga.ask("POST", f"{API3}/mcp-servers", {"name": made["server"], "description": MARK})
    scorer = {"experiment_id": experiment, "name": "sc", "serialized_scorer": json.dumps({"name": MARK})}
    olga.ask("POST", f"{API3}/scorers/register", scorer)
    queue = {"experiment_id": experiment, "name": "q", "queue_type": "CUSTOM", "users": [olga.email]}
    made["queue_id"] = olga.ask("POST", f"{API3}/review-queues/create", queue)["review_queue"]["queue_id"]
    schema = {"experiment_id": experiment, "name": "s", "type": "FEEDBACK", "input": {"text": {}}, "instruction": MARK}
    made["schema_id"] = olga.ask("POST", f"{API3}/label-schemas/create", schema)["label_schema"]["schema_id"]
    endpoint = f"http://127.0.0.1:{platform.google.storage_port}"
    bucket: Any = storage.Client(
        "p", credentials=AnonymousCredentials(), client_options={"api_endpoint": endpoint}
    ).bucket("artifacts")
    for uri in (run["artifact_uri"], logged["artifact_uri"]):
        for path in ("f", f"x/{MARK}"):
            bucket.blob(f"{uri.removeprefix('gs://artifacts/')}/{path}").upload_from_string(MARK)
    return made


def trace_in(person: Person, experiment: str) -> str:
    info = {
        "trace_id": f"tr-{secrets.token_hex(16)}",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": "2026-01-01T00:00:00Z",
        "state": "OK",
        "tags": {"t": MARK},
    }
    return person.ask("POST", f"{API3}/traces", {"trace": {"trace_info": info}})["trace"]["trace_info"]["trace_id"]


def routes(*settings: str) -> Iterator[Route]:
    """Yields method, template and name of every route that is on, with settings too, and of GraphQL's operations."""
    for feature in features():
        for method, template in feature.routes:
            if (feature.on or feature.setting in settings) and template not in OPEN | {"/graphql"}:
                yield method, template, operation(template).partition("mlflow/")[2] or template
    for kind, names in graphql_operations().items():
        if kind != "refused":
            yield from (("POST", "/graphql", f"{kind} {one}") for one in names)


def call(person: Person, route: Route, things: dict[str, str]) -> httpx.Response:
    """Calls a route about the owner's things, with every id that it might want."""
    method, template, called = route
    words = things | {"request_id": things["trace_id"], "name": things["server"]}
    path = PARAMETER.sub(lambda it: words.get(it["name"], "x"), template)
    headers = person.headers() | {"x-mlflow-experiment-id": things["experiment_id"]}
    body = body_for(template, called, things)
    if method == "GET":
        query = {key: value for key, value in body.items() if key not in {"tags", "locations"}}
        return person.service.http.get(path, params=query, headers=headers)
    if template == "/v1/traces":
        return person.service.http.post(path, content=b"", headers=headers | {"Content-Type": "application/x-protobuf"})
    return person.service.http.request(method, path, json=body, headers=headers)


def body_for(template: str, called: str, things: dict[str, str]) -> dict[str, Any]:
    kind, _, graphql = called.partition(" ")
    if graphql:
        text = GRAPHQL[graphql]
        for word, value in things.items():
            text = text.replace(f"${word}", value)
        return {"query": f"{kind} {{{graphql}{text}}}"}
    experiment, trace = things["experiment_id"], things["trace_id"]
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    if template.endswith("3.0/mlflow/traces"):
        info = {"trace_id": f"tr-{secrets.token_hex(16)}", "trace_location": place, "state": "OK"}
        return {"trace": {"trace_info": {**info, "request_time": "2026-01-01T00:00:00Z"}}}
    names = {"model": things["name"], "scorers": "sc", "label-schemas": "s", "review-queues": "q"}
    return {
        **{key: things[key] for key in things if key.endswith("_id")},
        "run_uuid": things["run_id"],
        "request_id": trace,
        "name": next((value for word, value in names.items() if word in template), name()),
        "version": "1",
        "key": "k",
        "value": "v",
        "alias": "a",
        "stage": "Production",
        "max_results": 5,
        "path": "x" if "list" in template else "f",
        "artifact_directory_path": "x",
        "artifact_file_path": "f",
        "metric_key": "m",
        # A dataset that is in no experiment is the admins' alone.
        "experiment_ids": [] if template.endswith("remove-experiments") else [experiment],
        "run_ids": [things["run_id"]],
        "request_ids": [trace],
        "trace_ids": [trace],
        "tags": [{"key": "a", "value": "b"}],
        "locations": [place],
    }


def shows(answer: httpx.Response) -> bool:
    """Returns whether an answer holds what the owner has written."""
    return MARK in answer.text or str(VALUE) in answer.text


def writes(email: str, route: Route) -> bool:
    """Whether a call of a route is one that a reader may not make."""
    method, template, _ = route
    return Asked(email, f"{method} {operation(template)}").writes
