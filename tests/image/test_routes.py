"""The table of routes: it lists what MLflow has, no more and no less, and what it does not list is refused."""

import asyncio
import http.client
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.service import Service

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun.dispatch import HEALTH, of_fastapi
from mlflow_cloudrun.features import Feature, features, graphql_operations
from mlflow_cloudrun.identity import Asked, asked
from mlflow_cloudrun.routes import PARAMETER, Matcher, RouteGate

INVENTORY = Path(__file__).parent / "inventory.py"
START = Path(__file__).parent / "start_probe.py"
PROBE = Path(__file__).parent / "credentials_probe.py"
MLFLOW_PYTHON = "/opt/mlflow/bin/python"
OFF = [feature for feature in features() if not feature.on]


def run_in(service: Service, script: Path) -> Any:
    """Runs a script with the image's Python and its MLflow; returns what it prints, as JSON."""
    return json.loads(service.container.execute(MLFLOW_PYTHON, "-c", script.read_text()))


@pytest.fixture(scope="module")
def inventory(service: Service) -> Any:
    return run_in(service, INVENTORY)


@pytest.fixture(scope="module")
def start(service: Service) -> Any:
    return run_in(service, START)


def example(template: str) -> str:
    """Returns a path of the template."""
    return PARAMETER.sub(lambda name: "a/b" if name["rest"] else "x", template)


def routes() -> Iterator[tuple[Feature, str, str]]:
    for feature in features():
        for method, template in feature.routes:
            yield feature, method, template


def test_the_table_lists_every_route_of_mlflow_and_no_other(inventory: Any) -> None:
    listed = [[method, template] for _, method, template in routes()]
    assert sorted(listed) == inventory["routes"]


def test_nothing_but_flask_is_mounted(inventory: Any) -> None:
    assert inventory["mounted"] == ["Mount "]


def test_what_is_on_goes_to_that_application_of_mlflow_that_has_it(inventory: Any) -> None:
    native = {tuple(route) for route in inventory["fastapi"]} - {("GET", HEALTH)}
    for feature, method, template in routes():
        if feature.on or feature.switch:
            assert of_fastapi(example(template)) == ((method, template) in native), f"{method} {template}"


def test_a_start_imports_nothing_that_only_some_requests_need(start: Any) -> None:
    later = {
        "aiohttp",
        "fastapi.applications",
        "google.cloud.storage",
        "graphql",
        "mlflow.cli",
        "mlflow.gateway.config",
    }
    assert not later & set(start["imported"])


def test_what_is_postponed_is_what_its_own_code_gives(start: Any) -> None:
    assert start["others"] == []
    assert start["called"] == ["maybe_refresh_budget_policies"]


def test_the_server_is_told_what_mlflows_own_command_tells_its_workers(start: Any) -> None:
    # Of what is off: artifacts through the server, and the gateway's secrets.
    off = {
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION",
        "MLFLOW_SERVER_SECRETS_CACHE_TTL",
        "MLFLOW_SERVER_SECRETS_CACHE_MAX_SIZE",
    }
    assert start["mlflow"].keys() - off == start["ours"].keys()
    for name, value in start["ours"].items():
        assert value == start["mlflow"][name] or name == "_MLFLOW_SERVER_BOOT_ID", name


def test_the_table_lists_every_operation_of_graphql(inventory: Any) -> None:
    operations = graphql_operations()
    assert {*inventory["graphql"]["query"], *inventory["graphql"]["mutation"]} == {
        name for names in operations.values() for name in names
    }


def test_every_route_is_found_as_what_the_table_says() -> None:
    matcher = Matcher(features())
    for feature, method, template in routes():
        assert matcher.find(example(template))[method].feature is feature, template


def test_what_is_off_is_refused_with_a_sentence_that_says_why_and_who_decides(service: Service) -> None:
    for feature in OFF:
        for method, template in feature.routes:
            answer = service.http.request(method, example(template), headers=service.bearer())
            assert answer.status_code == 501, f"{method} {template}"
            assert answer.json()["error_code"] == "NOT_IMPLEMENTED"
            assert feature.why in answer.json()["message"]
            assert (feature.setting or "routes.toml") in answer.json()["message"]


def test_the_page_knows_that_the_gateway_is_off(service: Service) -> None:
    answer = service.http.get("/ajax-api/3.0/mlflow/server-info", headers=service.bearer())
    assert answer.json()["features_enabled"]["gateway"] is False


SPELLINGS = [
    "/api/3.0/mlflow/gateway/secrets/list/",
    "/api/3.0/mlflow//gateway/secrets/list",
    "/api/3.0/mlflow/gateway%2Fsecrets/list",
    "/api/3.0/mlflow/gateway%2fsecrets%2flist",
    "/api/3.0/mlflow/%67ateway/secrets/list",
    "/api/3.0/mlflow/./gateway/secrets/list",
    "/api/3.0/mlflow/x/../gateway/secrets/list",
    "/api/3.0/mlflow/x/%2e%2e/gateway/secrets/list",
    "/api/3.0/mlflow/gateway/secrets/list;x",
    "/api/3.0/mlflow/gateway/secrets/list%00",
    "/api/3.0/mlflow/gateway/secrets/list%0a",
    "/API/3.0/mlflow/gateway/secrets/list",
    "//api/3.0/mlflow/gateway/secrets/list",
    "/prefix/api/3.0/mlflow/gateway/secrets/list",
    "/api/3.0/mlflow/gateway/secrets/list#x",
    "/ajax-api/2.0/mlflow/gateway-proxy?gateway_path=x",
    "/api/9.9/mlflow/new-feature",
    "/docs",
    "/openapi.json",
    "/metrics",
]


METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"]


@pytest.mark.parametrize("path", SPELLINGS)
def test_no_spelling_reaches_what_is_off_or_unknown(service: Service, path: str) -> None:
    connection = http.client.HTTPConnection(httpx.URL(service.url).netloc.decode(), timeout=60)
    for method in METHODS:
        connection.request(method, path, headers=service.bearer() | {"X-Http-Method-Override": "GET"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status in {301, 400, 404, 405, 501}, method
    connection.close()


def test_a_web_socket_is_closed() -> None:
    sent: list[Any] = []

    async def mlflow(*_: object) -> None:
        sent.append("reached")

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    asyncio.run(RouteGate(mlflow)({"type": "websocket", "path": "/health", "headers": []}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_a_route_that_nobody_has_looked_at_is_refused() -> None:
    reached: list[str] = []

    async def newer_mlflow(scope: Any, _receive: Any, send: Any) -> None:
        reached.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"opened"})

    async def ask() -> list[int]:
        asked.set(Asked(""))
        transport = httpx.ASGITransport(app=RouteGate(newer_mlflow))
        async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
            paths = ("/health", "/api/4.0/mlflow/shell", "/api/2.0/mlflow/runs/create", "/static-files/x/y.js")
            return [(await client.get(path)).status_code for path in paths]

    assert asyncio.run(ask()) == [200, 404, 405, 200]
    assert reached == ["/health", "/static-files/x/y.js"]


def test_an_operation_of_graphql_that_is_not_listed_does_not_exist(service: Service) -> None:
    body = {"query": '{ test(inputString: "x") { output } }'}
    answer = service.http.post("/graphql", json=body, headers=service.bearer())
    assert "Cannot query field 'test'" in answer.text


def test_no_credential_reaches_mlflow(service: Service) -> None:
    seen = run_in(service, PROBE)
    assert sorted(seen) == ["fastapi", "flask"]
    for headers in seen.values():
        assert headers["x-forwarded-email"] == "ada@example.com"
        assert {"cookie", "authorization", "x-goog-iap-jwt-assertion", "proxy-authorization"} & set(headers) == set()
        assert "secret" not in json.dumps(headers)
