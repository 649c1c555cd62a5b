"""The server reads the bucket as the instance's own service account: with a token of the metadata server."""

import json
from collections.abc import Generator

import httpx
import pytest
from aiohttp import web
from joserfc.jwk import RSAKey

from containers.engine import HOST
from harness.load import API, EXPERIMENT
from harness.service import Platform, Service
from localcloud.machine.background import serving
from tests.image.cloud import TOKEN, Cloud, with_metadata

GATEWAY = "/api/3.0/mlflow/gateway"
MESSAGES = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def cloud(storage_port: int) -> Cloud:
    return Cloud(f"http://127.0.0.1:{storage_port}")


@pytest.fixture(scope="module")
def service(platform: Platform, migrated: str, cloud: Cloud) -> Generator[Service]:
    with with_metadata(platform, platform.postgres.create(template=migrated), cloud) as running:
        yield running


def test_an_artifact_is_read_with_the_token_of_the_metadata_server(service: Service, cloud: Cloud) -> None:
    body = {"experiment_id": EXPERIMENT, "run_name": "with an artifact"}
    run = service.http.post(f"{API}/runs/create", json=body, headers=service.bearer()).json()["run"]["info"]
    name = f"{run['artifact_uri'].removeprefix('gs://artifacts/')}/report.txt"
    upload = f"{cloud.storage}/upload/storage/v1/b/artifacts/o"
    httpx.post(upload, params={"uploadType": "media", "name": name}, content=b"figures").raise_for_status()
    parameters = {"run_uuid": run["run_id"], "path": "report.txt"}
    answer = service.http.get("/get-artifact", params=parameters, headers=service.bearer())
    assert (answer.status_code, answer.content) == (200, b"figures")
    assert set(cloud.credentials) == {f"Bearer {TOKEN}"}


def ask_a_model(service: Service, *, name: str, location: str, key: dict[str, str]) -> list[int]:
    """Makes an endpoint of MLflow's AI gateway for Vertex AI and calls it; returns the statuses."""
    statuses: list[int] = []

    def post(path: str, body: dict[str, object]) -> dict[str, dict[str, str]]:
        answer = service.http.post(path, json=body, headers=service.bearer())
        statuses.append(answer.status_code)
        return answer.json() if answer.status_code == 200 else {}

    secret = post(
        f"{GATEWAY}/secrets/create",
        {
            "secret_name": name,
            "secret_value": key,
            "provider": "vertex_ai",
            "auth_config": {"vertex_project": "p", "vertex_location": location},
        },
    ).get("secret", {})
    definition = post(
        f"{GATEWAY}/model-definitions/create",
        {"name": name, "secret_id": secret.get("secret_id"), "provider": "vertex_ai", "model_name": "gemini"},
    ).get("model_definition", {})
    linked = {"model_definition_id": definition.get("model_definition_id"), "linkage_type": "PRIMARY", "weight": 1}
    post(f"{GATEWAY}/endpoints/create", {"name": name, "model_configs": [linked]})
    post(f"/gateway/{name}/mlflow/invocations", MESSAGES)
    return statuses


def test_no_user_makes_the_server_take_out_its_token_for_a_host_of_their_choice(service: Service, cloud: Cloud) -> None:
    cloud.asked.clear()
    statuses = ask_a_model(service, name="takeover", location="evil.test/?", key={"api_key": "none"})
    assert cloud.asked == []
    assert statuses == [501, 501, 501, 501]


def test_no_user_makes_the_server_fetch_the_token_uri_of_a_key(platform: Platform, service: Service) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"access_token": "x", "expires_in": 3600, "token_type": "Bearer"})

    stranger = web.Application()
    stranger.router.add_route("*", "/token", answer)
    with serving(stranger, bridge=platform.engine.bridge) as port:
        key = {
            "type": "service_account",
            "client_email": "eve@evil.test",
            "private_key": RSAKey.generate_key(2048).as_pem(private=True).decode(),
            "token_uri": f"http://{HOST}:{port}/token",
        }
        statuses = ask_a_model(service, name="key", location="global", key={"vertex_credentials": json.dumps(key)})
    assert asked == []
    assert statuses == [501, 501, 501, 501]
