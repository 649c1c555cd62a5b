"""A plain wrong value is a bad request on every route: an error of the server is repeated by clients for minutes."""

import importlib
import json
import pkgutil
import re
import secrets
import sys
from collections.abc import Collection, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import mlflow.protos
import pytest
from mlflow.protos import databricks_pb2

from harness.load import API
from harness.service import Platform, Service

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun.features import features

API_3 = API.replace("2.0", "3.0")
PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
# What removes what the other calls are about.
DESTRUCTIVE = re.compile(
    r"(experiments|runs|registered-models|model-versions)/(delete|rename)$|delete-traces$|/static-files/"
)
ODD: tuple[object, ...] = (
    None,
    -1,
    2**63,
    "x",
    "",
    [],
    [None],
    [[]],
    {"a": 1},
    True,
    1.5,
    "é",
    "gs://[x]",
    "//[",
    "1e5",
)
ODD_TEXTS = ("", "x", "9" * 20, "é", "//[", "1.5")
DEEP_TEXTS = json.dumps({"records": "[" * 3000, "serialized_scorer": "[" * 3000, "query": "{a" * 3000}).encode()
RAW = (b"", b"{", b"\xff", b"null", b"1", b"[]", b'"x"', b'"{}"', b'{"a":NaN}', DEEP_TEXTS)
AT_A_TIME = 6
# A trace whose spans lie nowhere is MLflow's own 500, on which its client goes on to look in the bucket.
REFUSED = {400, 404, 413, 415, 422}
KNOWN = "Trace data not stored in tracking store"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, and what is wrong with it."""

    wrong: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: object = None
    content: bytes | None = None

    def send(self, http: httpx.Client) -> httpx.Response:
        if self.method == "GET":
            return http.get(self.path, params=self.query)
        if self.content is not None:
            return http.request(
                self.method, self.path, content=self.content, headers={"Content-Type": "application/json"}
            )
        return http.request(self.method, self.path, json=self.body)


def messages() -> dict[tuple[str, str], Any]:
    """Returns MLflow's message for the request of each of its routes, by method and path without parameters' names."""
    found: dict[tuple[str, str], Any] = {}
    for module in pkgutil.iter_modules(mlflow.protos.__path__):
        if not module.name.endswith("_pb2") or "unity" in module.name or "scalapb" in module.name:
            continue
        services = importlib.import_module(f"mlflow.protos.{module.name}").DESCRIPTOR.services_by_name
        for method in (method for service in services.values() for method in service.methods):
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                path = re.sub(r"<[^>]*>", "{}", endpoint.path).lstrip("/")
                found[endpoint.method, PARAMETER.sub("{}", path)] = method.input_type
    return found


def things(http: httpx.Client) -> dict[str, object]:
    """Makes one of each thing; returns good values by the names of fields and of parameters in paths."""

    def post(path: str, **body: object) -> Any:
        return http.post(path, json=body).raise_for_status().json()

    experiment = post(f"{API}/experiments/create", name="wrong")["experiment_id"]
    run = post(f"{API}/runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    post(f"{API}/registered-models/create", name="wrong")
    post(f"{API}/model-versions/create", name="wrong", source="gs://artifacts/x")
    model = post(f"{API}/logged-models", experiment_id=experiment, name="m")["model"]["info"]["model_id"]
    trace = f"tr-{secrets.token_hex(16)}"
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    info = {"trace_id": trace, "trace_location": location, "request_time": "2026-01-01T00:00:00Z", "state": "OK"}
    post(f"{API_3}/traces", trace={"trace_info": info})
    dataset = post(f"{API_3}/datasets/create", name="d", experiment_ids=[experiment])["dataset"]["dataset_id"]
    ids = {"experiment_id": experiment, "run_id": run, "run_uuid": run, "model_id": model, "dataset_id": dataset}
    traces = {"trace_id": trace, "request_id": trace, "trace_ids": [trace], "locations": [location]}
    words = {"name": "wrong", "version": "1", "key": "k", "value": "v", "metric_key": "a", "source": "gs://artifacts/x"}
    return {**ids, **traces, **words, "experiment_ids": [experiment], "run_ids": [run], "timestamp": 1, "path": "x"}


def calls(good: Mapping[str, object]) -> Iterator[Call]:
    """Yields requests to every route that is on, each with one wrong value."""
    known = messages()
    routes = {route for feature in features() if feature.on for route in feature.routes}
    for method, template in sorted(routes):
        if DESTRUCTIVE.search(template) or ("GET", template.replace("/ajax-api/", "/api/")) in routes - {
            (method, template)
        }:
            continue
        relative = PARAMETER.sub("{}", re.sub(r"^/(ajax-)?api/[23]\.0", "", template)).lstrip("/")
        message = known.get((method, relative))
        fields = (
            [each.name for each in message.fields] if message else ["run_uuid", "path", "name", "version", "request_id"]
        )
        plain = {name: good[name] for name in fields if name in good}
        name = f"{method} {template}"

        def path(wrong: str = "", value: str = "", template: str = template) -> str:
            return PARAMETER.sub(
                lambda found: quote(value if found[1] == wrong else str(good.get(found[1], "x")), safe="/"), template
            )

        for parameter in PARAMETER.findall(template):
            yield from (
                Call(wrong=f"{name}: {parameter}={odd}", method=method, path=path(parameter, odd), body={})
                for odd in ODD_TEXTS
            )
        if method == "GET":
            texts = {key: str(value) for key, value in plain.items()}
            for key in fields:
                yield from (
                    Call(wrong=f"{name}: {key}={odd}", method=method, path=path(), query=texts | {key: odd})
                    for odd in ODD_TEXTS
                )
            continue
        yield from (Call(wrong=f"{name}: {raw!r}", method=method, path=path(), content=raw) for raw in RAW)
        for key in fields:
            yield from (
                Call(wrong=f"{name}: {key}={odd}", method=method, path=path(), body=plain | {key: odd}) for odd in ODD
            )


DEEP = (
    b"[" * 3000,
    b'{"a":' * 200 + b"1" + b"}" * 200,
    json.dumps('{"a":' * 200 + "1" + "}" * 200).encode(),  # JSON in a string, which MLflow takes from old clients
)


def deep_calls(good: Mapping[str, object]) -> Iterator[Call]:
    """Yields a deeply nested body for every route that takes one."""
    for method, template in sorted({route for feature in features() if feature.on for route in feature.routes}):
        path = PARAMETER.sub(lambda found: quote(str(good.get(found[1], "x"))), template)
        if method != "GET":
            yield from (
                Call(wrong=f"{method} {path}: {raw[:20]!r}", method=method, path=path, content=raw) for raw in DEEP
            )


@pytest.fixture(scope="module")
def service(platform: Platform, migrated: str) -> Generator[Service]:
    with platform.service(platform.postgres.uri(platform.postgres.create(template=migrated))) as running:
        running.http.headers.update(running.bearer())
        yield running


def failures(service: Service, every: list[Call], *, allowed: Collection[int] = ()) -> list[str]:
    """Returns what was answered with an error of the server, or with anything but what is allowed."""

    def answers(share: list[Call]) -> list[tuple[Call, httpx.Response]]:
        # A client for each thread: one that threads share may read from a connection that another has closed.
        with httpx.Client(base_url=service.url, headers=service.http.headers, timeout=60) as http:
            return [(call, call.send(http)) for call in share]

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        shares = list(pool.map(answers, [every[first::AT_A_TIME] for first in range(AT_A_TIME)]))
    return [
        f"{call.wrong}: {answer.status_code} {answer.text[:150]}"
        for share in shares
        for call, answer in share
        if (answer.status_code >= 500 and answer.status_code != 501 and KNOWN not in answer.text)
        or (allowed and answer.status_code not in allowed)
    ]


@pytest.fixture(scope="module")
def good(service: Service) -> dict[str, object]:
    return things(service.http)


def test_a_wrong_value_is_never_an_error_of_the_server(service: Service, good: dict[str, object]) -> None:
    every = list(calls(good))
    assert len(every) > 3000
    failed = failures(service, every)
    assert not failed, "\n".join([str(len(failed)), *failed[:60]])


def test_a_deep_body_is_refused_on_every_route(service: Service, good: dict[str, object]) -> None:
    every = list(deep_calls(good))
    assert len(every) > 250
    failed = failures(service, every, allowed=REFUSED)
    assert not failed, "\n".join([str(len(failed)), *failed[:60]])
