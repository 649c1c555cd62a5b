"""Who may log a run writes and reads its artifacts without a role at the bucket: by sessions and signed links."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from harness.attackers import peak_of
from harness.buckets import BUCKET, SERVER
from harness.clients import build_wheel, installed
from harness.load import API
from harness.relay import Relay
from localcloud.resource import ENABLED_API
from tests.image.deployment import deployed

if TYPE_CHECKING:
    from collections.abc import Generator

    from harness.service import Platform
    from tests.image.deployment import Deployment

UPLOAD, DOWNLOAD = f"{API}/artifacts/presigned-upload-url", f"{API}/artifacts/presigned-download-url"
MIB, LARGE_MIB = 1024 * 1024, int(os.environ.get("LINKS_MIB", "256"))
PROGRAM = Path(__file__).with_name("log_by_links.py")
NAMES = ("a b.txt", "a#b.txt", "a%20b.txt", "a%2Fb.txt", "a?b&c=d+e.txt", "ä€.txt", "a..b.txt", "ends.")


@pytest.fixture(scope="module")
def relay() -> Relay:
    """The way to the bucket."""
    return Relay()


@pytest.fixture(scope="module")
def linked(platform: Platform, migrated: str, scratch: Path, relay: Relay) -> Generator[Deployment]:
    folder = Path(mkdtemp(dir=scratch))
    folder.chmod(0o755)
    postgres, database = platform.postgres, platform.postgres.create(template=migrated)
    execute = partial(postgres.execute, database=database)
    with deployed(platform, postgres.uri(database), postgres.sockets, execute, folder, links=relay) as running:
        yield running


def asked(linked: Deployment, route: str, /, **body: object) -> httpx.Response:
    return linked.service.http.post(route, json=body, headers=linked.service.bearer())


def session_of(linked: Deployment, **body: object) -> str:
    answer = asked(linked, UPLOAD, **body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["presigned_url"])


def link_of(linked: Deployment, **body: object) -> str:
    answer = asked(linked, DOWNLOAD, **body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["presigned_url"])


@pytest.fixture(scope="module")
def run(linked: Deployment) -> str:
    return linked.run(files=0)


def lines(linked: Deployment) -> list[dict[str, Any]]:
    return [json.loads(line) for line in linked.service.container.logs().splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_goes_up_and_comes_down_without_a_token(linked: Deployment, run: str, name: str) -> None:
    content = name.encode() * 100
    put = httpx.put(session_of(linked, run_id=run, path=f"folder/{name}"), content=content)
    assert put.status_code == 200, put.text
    assert put.json()["name"] == f"0/{run}/artifacts/folder/{name}"
    answer = asked(linked, DOWNLOAD, run_id=run, path=f"folder/{name}").json()
    got = httpx.get(answer["presigned_url"])
    assert (got.status_code, got.content, int(answer["file_size"])) == (200, content, len(content))
    assert got.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''")
    where = {"run_id": run, "path": "folder"}
    listed = linked.service.http.get(f"{API}/artifacts/list", params=where, headers=linked.service.bearer())
    assert f"folder/{name}" in [file["path"] for file in listed.json()["files"]]


def test_a_logged_model_gets_its_files(linked: Deployment) -> None:
    model = linked.call("POST", "logged-models", experiment_id="0", name="m")["model"]["info"]
    put = httpx.put(session_of(linked, model_id=model["model_id"], path="MLmodel"), content=b"flavors: {}")
    assert f"gs://{BUCKET['name']}/{put.json()['name']}" == f"{model['artifact_uri']}/MLmodel"
    linked.call("DELETE", f"logged-models/{model['model_id']}")
    refused = asked(linked, UPLOAD, model_id=model["model_id"], path="MLmodel")
    assert refused.status_code == 404


def test_an_overwritten_file_is_what_its_new_link_opens(linked: Deployment, run: str) -> None:
    for content in (b"first", b"second, longer"):
        httpx.put(session_of(linked, run_id=run, path="again.txt"), content=content)
        assert httpx.get(link_of(linked, run_id=run, path="again.txt")).content == content


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../../x", "%2e%2e/x", "..%2fx", "/etc/passwd", "", ".", "a//b", "a/", "a/./b", "..", "x" * 1100],
)
def test_no_path_leads_out_of_the_run(linked: Deployment, run: str, path: str) -> None:
    before = linked.files("")
    for route in (UPLOAD, DOWNLOAD):
        answer = asked(linked, route, run_id=run, path=path)
        assert answer.status_code in (400, 404), answer.text
        assert answer.json()["message"]
    assert linked.files("") == before


def test_what_is_not_there_or_deleted_is_refused_with_a_sentence(linked: Deployment) -> None:
    unknown = asked(linked, UPLOAD, run_id="0" * 32, path="a")
    assert (unknown.status_code, "not found" in unknown.json()["message"]) == (404, True)
    deleted = linked.run(files=0)
    linked.delete_run(deleted)
    answer = asked(linked, UPLOAD, run_id=deleted, path="a")
    assert (answer.status_code, "is deleted" in answer.json()["message"]) == (400, True)
    assert asked(linked, UPLOAD, path="a").status_code == 400
    absent = asked(linked, DOWNLOAD, run_id=deleted, path="absent.txt")
    assert (absent.status_code, "No such artifact: absent.txt" in absent.text) == (404, True)


def test_whoever_may_not_change_a_run_gets_no_session_for_it(linked: Deployment, run: str) -> None:
    httpx.put(session_of(linked, run_id=run, path="read.txt"), content=b"x")
    model = linked.call("POST", "logged-models", experiment_id="0", name="m")["model"]["info"]["model_id"]
    stranger = linked.service.bearer(email="sam@example.com")
    for owner in ({"run_id": run}, {"model_id": model}):
        refused = linked.service.http.post(UPLOAD, json={**owner, "path": "read.txt"}, headers=stranger)
        assert (refused.status_code, "You may not do this" in refused.json()["message"]) == (403, True)
    may_read = linked.service.http.post(DOWNLOAD, json={"run_id": run, "path": "read.txt"}, headers=stranger)
    assert httpx.get(may_read.json()["presigned_url"]).content == b"x"


def test_a_team_writes_and_reads_its_files_by_links_and_nobody_else_does(linked: Deployment) -> None:
    ours, http = linked.service.bearer() | {"X-MLFLOW-WORKSPACE": "vision"}, linked.service.http
    made = http.post(f"{API}/experiments/create", json={"name": "of the team"}, headers=ours).json()["experiment_id"]
    body = {"experiment_id": made}
    info = http.post(f"{API}/runs/create", json=body, headers=ours).json()["run"]["info"]
    file = {"run_id": info["run_id"], "path": "read.txt"}
    session = http.post(UPLOAD, json=file, headers=ours)
    assert httpx.put(session.json()["presigned_url"], content=b"ours").is_success
    prefix = f"workspaces/vision/{made}/"
    assert linked.files(prefix) == [f"{prefix}{info['run_id']}/artifacts/read.txt"]
    link = http.post(DOWNLOAD, json=file, headers=ours)
    assert httpx.get(link.json()["presigned_url"]).content == b"ours"
    sam = linked.service.bearer(email="sam@example.com")
    for headers in (linked.service.bearer(), sam, sam | {"X-MLFLOW-WORKSPACE": "vision"}):
        for route in (UPLOAD, DOWNLOAD):
            refused = http.post(route, json=file, headers=headers)
            assert refused.status_code in (403, 404), refused.text


def test_a_link_lives_no_longer_than_an_hour(linked: Deployment, run: str) -> None:
    httpx.put(session_of(linked, run_id=run, path="f.txt"), content=b"x")
    assert "X-Goog-Expires=300&" in link_of(linked, run_id=run, path="f.txt")
    assert "X-Goog-Expires=3600&" in link_of(linked, run_id=run, path="f.txt", expiration=3600)
    refused = asked(linked, DOWNLOAD, run_id=run, path="f.txt", expiration=3601)
    assert (refused.status_code, "3600 s at most" in refused.json()["message"]) == (400, True)


def test_a_role_that_is_missing_is_named(linked: Deployment, run: str) -> None:
    httpx.put(session_of(linked, run_id=run, path="f.txt"), content=b"x")
    books = linked.place.cloud.store
    key = f"b/{BUCKET['name']}/roles/storage.objectUser/serviceAccount:{SERVER}"
    binding = books.get("google_storage_bucket_iam_member", key)
    assert binding
    books.remove("google_storage_bucket_iam_member", key)
    try:
        refused = asked(linked, UPLOAD, run_id=run, path="f.txt")
        assert (refused.status_code, "roles/storage.objectUser" in refused.json()["message"]) == (403, True)
    finally:
        books.put("google_storage_bucket_iam_member", key, binding)
    api = books.get(ENABLED_API, "acme/iamcredentials.googleapis.com")
    assert api
    books.remove(ENABLED_API, "acme/iamcredentials.googleapis.com")
    try:
        refused = asked(linked, DOWNLOAD, run_id=run, path="f.txt")
        assert (refused.status_code, "serviceAccountTokenCreator" in refused.json()["message"]) == (403, True)
    finally:
        books.put(ENABLED_API, "acme/iamcredentials.googleapis.com", api)


def test_the_log_says_who_may_upload_what_and_holds_neither_sessions_nor_links(linked: Deployment, run: str) -> None:
    session = session_of(linked, run_id=run, path="noted/file.txt")
    httpx.put(session, content=b"x")
    link = link_of(linked, run_id=run, path="noted/file.txt")
    log = linked.service.container.logs()
    assert httpx.URL(session).params["upload_id"][:20] not in log
    assert httpx.URL(link).params["X-Goog-Signature"][:20] not in log
    assert "upload_id" not in log
    assert "X-Goog" not in log
    noted = [line["write"] for line in lines(linked) if "noted/file.txt" in line.get("write", {}).get("ids", [])]
    assert noted == [{"operation": "POST 2.0/mlflow/artifacts/presigned-upload-url", "ids": [run, "noted/file.txt"]}]


def test_mlflows_client_logs_a_large_model_without_a_credential_over_connections_that_break(
    linked: Deployment, relay: Relay, tmp_path: Path
) -> None:
    python = installed(tmp_path / "client", build_wheel(tmp_path), "mlflow-skinny==3.17.2")
    work = tmp_path / "work"
    work.mkdir()
    environment = {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_TOKEN": linked.service.token(),
        "MLFLOW_TRACKING_URI": linked.service.url,
        "NO_GCE_CHECK": "true",
    }
    relay.cuts[:] = [5 * MIB, 2, 9 * MIB]  # a part, the question how much of it arrived, and another part
    with peak_of(linked.service.container) as samples:
        command = [str(python), str(PROGRAM), str(work), str(LARGE_MIB)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["same"], found["model_same"], found["again"], found["odd"]) == (True, True, "second", "odd")
    assert found["listed"] == [["again.txt", False, 6], ["folder", True, None], ["large.bin", False, LARGE_MIB * MIB]]
    assert found["folder"] == ["folder/a.json", "folder/deep/a#b %20 ä.txt", "folder/empty.txt", "large.bin"]
    assert found["model_listed"] == ["deep", "empty.txt", "large.bin"]
    assert (relay.broken, done.stderr.count("it goes on from there")) == (3, 3)
    assert max(samples) - samples[0] < 100
    print(f"memory of the server in MiB: {samples[0]:.0f} before, {max(samples):.0f} at most")
    secret = ("upload_id=", "X-Goog-Signature")
    assert not [word for word in secret if word in done.stderr or word in linked.service.container.logs()]
