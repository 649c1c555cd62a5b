"""MLflow's real client through the proxy, artifacts straight to the bucket, and the page's own view of them."""

import pytest

from harness.service import Service
from tests.image.client import use_everything


@pytest.fixture(scope="module")
def used(service: Service, storage_port: int) -> Service:
    use_everything(service, storage_port)
    return service


def run_id(service: Service) -> str:
    experiment = service.http.get(
        "/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "everything"}, headers=service.bearer()
    ).json()["experiment"]
    body = {"experiment_ids": [experiment["experiment_id"]]}
    runs = service.http.post("/api/2.0/mlflow/runs/search", json=body, headers=service.bearer()).json()["runs"]
    return runs[0]["info"]["run_id"]


def test_the_client_logs_searches_registers_and_traces(used: Service) -> None:
    assert used.container.running


def test_the_page_shows_an_artifact_through_the_servers_read_access(used: Service) -> None:
    parameters = {"run_uuid": run_id(used), "path": "model/model.bin"}
    answer = used.http.get("/get-artifact", params=parameters, headers=used.bearer())
    assert answer.status_code == 200
    assert answer.content == b"weights" * 1000


def test_the_server_takes_no_uploads_itself(used: Service) -> None:
    path = "/api/2.0/mlflow-artifacts/artifacts/file.bin"
    assert used.http.put(path, content=b"data", headers=used.bearer()).status_code in (404, 501, 503)
