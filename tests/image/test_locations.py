"""The server opens, and stores, only locations that the deployment serves."""

from collections.abc import Generator

import httpx
import pytest
from aiohttp import web

from containers.engine import HOST
from harness.load import API
from harness.service import Platform, Service
from localcloud.machine.background import serving
from tests.image import traces
from tests.image.foreign import FOREIGN, SERVED
from tests.image.stored import spans
from tests.image.test_routes import INVENTORY, run_in

TRACES = "/api/3.0/mlflow/traces"
UUID = "0b7a4b0e-6f0e-4f6a-9a52-3f6f0c3b1a11"


@pytest.fixture(scope="module")
def database(platform: Platform, migrated: str) -> str:
    return platform.postgres.create(template=migrated)


@pytest.fixture(scope="module")
def service(platform: Platform, database: str) -> Generator[Service]:
    with platform.service(platform.postgres.uri(database), ARTIFACT_ROOTS="gs://shared/models") as running:
        yield running


def post(service: Service, route: str, body: dict[str, object]) -> httpx.Response:
    return service.http.post(f"{API}/{route}", json=body, headers=service.bearer())


def get(service: Service, route: str, **parameters: str) -> httpx.Response:
    return service.http.get(route, params=parameters, headers=service.bearer())


@pytest.mark.parametrize("location", FOREIGN)
def test_a_foreign_location_is_refused_for_an_experiment_and_for_a_model(service: Service, location: str) -> None:
    made = post(service, "experiments/create", {"name": location, "artifact_location": location})
    assert made.status_code == 400, made.text
    post(service, "registered-models/create", {"name": "foreign"})
    made = post(service, "model-versions/create", {"name": "foreign", "source": location})
    assert made.status_code == 400, made.text


def test_the_refusal_says_what_is_served_and_who_can_add_to_it(service: Service) -> None:
    made = post(service, "experiments/create", {"name": "told", "artifact_location": "gs://elsewhere/x"})
    message = made.json()["message"]
    assert "gs://artifacts/..., gs://shared/models/..." in message
    assert "service.artifact_roots" in message


@pytest.mark.parametrize("location", SERVED)
def test_what_is_served_is_taken(service: Service, location: str) -> None:
    made = post(service, "experiments/create", {"name": location, "artifact_location": location})
    assert made.status_code == 200, made.text
    post(service, "registered-models/create", {"name": "served"})
    version = post(service, "model-versions/create", {"name": "served", "source": location})
    assert version.status_code == 200, version.text


def test_prompts_and_models_of_runs_are_registered_as_before(service: Service) -> None:
    run = post(service, "runs/create", {"experiment_id": "0"}).json()["run"]["info"]["run_id"]
    post(service, "registered-models/create", {"name": "of-a-run"})
    body = {"name": "of-a-run", "source": f"runs:/{run}/model", "run_id": run}
    assert post(service, "model-versions/create", body).status_code == 200
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "mlflow.prompt.text", "value": "hello"}]
    post(service, "registered-models/create", {"name": "a-prompt", "tags": tags[:1]})
    body = {"name": "a-prompt", "source": "dummy-source", "tags": tags}
    assert post(service, "model-versions/create", body).status_code == 200


def test_a_version_of_a_model_is_deleted(service: Service) -> None:
    post(service, "registered-models/create", {"name": "deleted"})
    made = post(service, "model-versions/create", {"name": "deleted", "source": "gs://artifacts/x"})
    assert made.status_code == 200, made.text
    version = {"name": "deleted", "version": "1"}
    gone = service.http.request("DELETE", f"{API}/model-versions/delete", json=version, headers=service.bearer())
    assert gone.status_code == 200, gone.text
    assert get(service, f"{API}/model-versions/get", **version).status_code == 404


TRACE_TAGS = ("mlflow.artifactLocation", "mlflow.trace.archiveLocation")


@pytest.mark.parametrize("key", TRACE_TAGS)
@pytest.mark.parametrize("location", FOREIGN)
def test_a_foreign_location_is_refused_as_a_tag_of_a_trace(service: Service, location: str, key: str) -> None:
    tags = [{"key": key, "value": location}]
    request = spans(f"tr-{UUID.replace('-', '')}", 1, "x", tag=(key, location))
    old = {"experiment_id": "0", "timestamp_ms": 1}
    made = post(service, "traces", old).json()["trace_info"]["request_id"]
    answers = [
        service.http.post(TRACES, json=started("tr-new", {key: location}), headers=service.bearer()),
        service.http.patch(f"{TRACES}/{made}/tags", json=tags[0], headers=service.bearer()),
        service.http.patch(f"{API}/traces/{made}/tags", json=tags[0], headers=service.bearer()),
        post(service, "traces", old | {"tags": tags}),
        service.http.patch(
            f"{API}/traces/{made}",
            json={"timestamp_ms": 2, "status": "OK", "tags": tags},
            headers=service.bearer(),
        ),
        traces.export(service.http, request, headers=service.bearer()),
    ]
    assert [answer.status_code for answer in answers] == [400] * len(answers), [answer.text for answer in answers]


@pytest.fixture(scope="module")
def stranger(platform: Platform) -> Generator[tuple[str, list[str]]]:
    """A host of somebody else's, and what was asked of it."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(str(request.rel_url))
        return web.json_response({"files": [{"path": "x", "is_dir": False, "file_size": 1}]})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    with serving(application, bridge=platform.engine.bridge) as port:
        yield f"{HOST}:{port}", asked


def archive(location: str) -> dict[str, str]:
    """Returns the tags of a trace whose spans were archived there."""
    return {"mlflow.trace.spansLocation": "ARCHIVE_REPO", "mlflow.trace.archiveLocation": location}


def started(trace_id: str, tags: dict[str, str]) -> dict[str, object]:
    """Returns the body that makes a trace with tags."""
    info = {
        "trace_id": trace_id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
        "request_time": "2026-01-01T00:00:00Z",
        "state": "OK",
        "tags": tags,
    }
    return {"trace": {"trace_info": info}}


def trace_of(service: Service, trace_id: str, tags: dict[str, str]) -> str:
    """Makes a trace with tags; returns its id."""
    body = started(trace_id, tags)
    service.http.post(TRACES, json=body, headers=service.bearer()).raise_for_status()
    return trace_id


def lay(platform: Platform, database: str, service: Service, location: str) -> dict[str, str]:
    """Puts a location where an older server or another deployment has left it: in the rows of the database."""
    run = post(service, "runs/create", {"experiment_id": "0"}).json()["run"]["info"]["run_id"]
    name = f"laid-{run}"
    post(service, "registered-models/create", {"name": name})
    post(service, "model-versions/create", {"name": name, "source": "gs://artifacts/x"})
    body = {"experiment_id": "0", "name": "m"}
    model = post(service, "logged-models", body).json()["model"]["info"]["model_id"]
    trace, archived = trace_of(service, f"tr-{run}", {}), trace_of(service, f"tr-a{run}", {})
    quoted = location.replace("'", "''")
    for statement in (
        f"UPDATE trace_tags SET value = '{quoted}' WHERE request_id = '{trace}' AND key = 'mlflow.artifactLocation'",  # noqa: S608
        *(
            f"INSERT INTO trace_tags (request_id, key, value) VALUES ('{archived}', '{key}', '{value}')"  # noqa: S608
            for key, value in archive(quoted).items()
        ),
        f"UPDATE runs SET artifact_uri = '{quoted}' WHERE run_uuid = '{run}'",  # noqa: S608
        f"UPDATE model_versions SET source = '{quoted}', storage_location = '{quoted}' WHERE name = '{name}'",  # noqa: S608
        f"UPDATE logged_models SET artifact_location = '{quoted}' WHERE model_id = '{model}'",  # noqa: S608
    ):
        platform.postgres.execute(statement, database=database)
    return {"run": run, "name": name, "model": model, "trace": trace, "archived": archived}


READABLE = [
    "file:///etc",
    "/etc",
    "gs://somebody-elses-bucket/x",
    "s3://bucket/x",
    "mlflow-artifacts:/x",
    "http://STRANGER/x",
]


@pytest.mark.parametrize("location", [*READABLE, "runs://STRANGER/x", "models://STRANGER/x", "sftp://STRANGER/x"])
def test_a_foreign_location_in_the_database_is_not_opened(
    platform: Platform, database: str, service: Service, stranger: tuple[str, list[str]], location: str
) -> None:
    host, asked = stranger
    laid = lay(platform, database, service, location.replace("STRANGER", host))
    answers = [
        get(service, f"{API}/artifacts/list", run_id=laid["run"]),
        get(service, "/get-artifact", run_uuid=laid["run"], path="passwd"),
        get(service, "/model-versions/get-artifact", name=laid["name"], version="1", path="passwd"),
        get(service, f"{API}/logged-models/{laid['model']}/artifacts/directories"),
        get(
            service, f"/ajax-api/2.0/mlflow/logged-models/{laid['model']}/artifacts/files", artifact_file_path="passwd"
        ),
        get(service, "/ajax-api/2.0/mlflow/get-trace-artifact", request_id=laid["trace"], path=UUID),
        get(service, "/ajax-api/3.0/mlflow/get-trace-artifact", request_id=laid["trace"]),
        get(service, "/ajax-api/3.0/mlflow/get-trace-artifact", request_id=laid["archived"]),
        get(service, f"{TRACES}/get", trace_id=laid["archived"]),
    ]
    # MLflow itself refuses the schemes that name a host, with 400.
    told = ("not where this deployment keeps artifacts", "does not connect to artifact location")
    for answer in answers:
        assert answer.status_code in {400, 403}, f"{answer.url}: {answer.text}"
        assert any(words in answer.text for words in told), f"{answer.url}: {answer.text}"
    assert asked == []


@pytest.mark.parametrize("path", ["../../secrets", "/etc/passwd", "a/../../x"])
def test_an_artifacts_path_stays_below_its_run(service: Service, path: str) -> None:
    run = post(service, "runs/create", {"experiment_id": "0"}).json()["run"]["info"]["run_id"]
    assert get(service, "/get-artifact", run_uuid=run, path=path).status_code == 400
    assert get(service, f"{API}/artifacts/list", run_id=run, path=path).status_code == 400


@pytest.mark.parametrize("path", ["%2e%2e/x", "..%2fx"])
def test_a_path_is_decoded_once(service: Service, path: str) -> None:
    """What still looks encoded is the name of a file, which is not there."""
    run = post(service, "runs/create", {"experiment_id": "0"}).json()["run"]["info"]["run_id"]
    assert get(service, "/get-artifact", run_uuid=run, path=path).status_code == 404


def test_a_webhook_that_another_server_has_left_is_not_called(
    platform: Platform, database: str, service: Service
) -> None:
    webhook = "'default', 'w', 'w', 'https://127.0.0.1:1/', 'ACTIVE', 1, 1"
    columns = "workspace, webhook_id, name, url, status, creation_timestamp, last_updated_timestamp"
    event = "INSERT INTO webhook_events (webhook_id, entity, action) VALUES ('w', 'registered_model', 'created')"
    platform.postgres.execute(f"INSERT INTO webhooks ({columns}) VALUES ({webhook})", database=database)  # noqa: S608
    platform.postgres.execute(event, database=database)
    assert get(service, f"{API}/webhooks").json()["webhooks"][0]["name"] == "w"
    assert post(service, "registered-models/create", {"name": "an event"}).status_code == 200
    assert post(service, "webhooks/w/test", {}).status_code == 501
    assert "Failed to send webhook" not in service.container.logs()


# Columns that hold a location, and what keeps the server from going there.
COLUMNS = {
    "datasets.dataset_source": "text of the client's; the server never opens it",
    "evaluation_dataset_records.source": "text of the client's; the server never opens it",
    "experiments.artifact_location": "checked when it is stored",
    "logged_models.artifact_location": "below its experiment's; checked when it is opened",
    "mcp_access_endpoints.url": "text; the server never calls it",
    "mcp_server_versions.source": "text; the server never opens it",
    "model_versions.source": "checked when it is stored and when it is opened",
    "model_versions.storage_location": "checked when it is stored and when it is opened",
    "runs.artifact_uri": "below its experiment's; checked when it is opened",
    "webhooks.url": "no webhook is made or called",
    "workspaces.default_artifact_root": "workspaces are off",
    "workspaces.trace_archival_location": "workspaces are off",
}


def test_every_column_that_holds_a_location_is_known(service: Service) -> None:
    assert run_in(service, INVENTORY)["columns"] == sorted(COLUMNS)
