"""Artifacts of any size and name, from the bucket through the page's routes, in flat memory and not by way of /tmp."""

import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from harness.attackers import peak_of
from harness.service import Platform, Service
from harness.waiting import wait_for

MIB = 1024 * 1024
LARGE_MIB = 256  # four times what /tmp holds here
API = "/api/2.0/mlflow"
NAMES = (
    "a b.txt",
    "a#b.txt",
    "a%20b.txt",
    "a%2Fb.txt",
    "a?b.txt",
    "a+b.txt",
    "a&b=c.txt",
    "ä€.txt",
    "a..b.txt",
    "ends.",
)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A run, and the bucket that its artifacts are in."""

    service: Service
    bucket: Any
    run_id: str
    folder: str

    def put(self, name: str, content: bytes) -> None:
        """Writes an artifact as MLflow's client does: straight to the bucket."""
        self.bucket.blob(f"{self.folder}/{name}").upload_from_string(content)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Opens an artifact as MLflow's page does."""
        parameters = {"run_uuid": self.run_id, "path": path}
        return self.service.http.get("/get-artifact", params=parameters, headers=self.service.bearer() | headers)


def call(service: Service, path: str, **body: object) -> dict[str, Any]:
    answer = service.http.post(f"{API}/{path}", json=body, headers=service.bearer())
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def stored(platform: Platform, service: Service) -> Stored:
    endpoint = f"http://127.0.0.1:{platform.google.storage_port}"
    client = storage.Client("p", credentials=AnonymousCredentials(), client_options={"api_endpoint": endpoint})
    info = call(service, "runs/create", experiment_id="0")["run"]["info"]
    folder = str(info["artifact_uri"]).removeprefix("gs://artifacts/")
    return Stored(service=service, bucket=client.bucket("artifacts"), run_id=info["run_id"], folder=folder)


@pytest.fixture(scope="module")
def large(stored: Stored) -> str:
    with stored.bucket.blob(f"{stored.folder}/large.bin").open("wb", chunk_size=8 * MIB) as file:
        for number in range(LARGE_MIB):
            file.write(number.to_bytes(4, "big") * (MIB // 4))
    return "large.bin"


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_opened_and_listed(stored: Stored, name: str) -> None:
    content = name.encode() * 10
    stored.put(f"names/{name}", content)
    answer = stored.get(f"names/{name}")
    assert (answer.status_code, answer.content) == (200, content)
    parameters = {"run_id": stored.run_id, "path": "names"}
    listed = stored.service.http.get(f"{API}/artifacts/list", params=parameters, headers=stored.service.bearer())
    assert f"names/{name}" in [file["path"] for file in listed.json()["files"]]


def test_a_folder_of_any_name_is_listed(stored: Stored) -> None:
    stored.put("a#b %41/file.txt", b"x")
    parameters = {"run_id": stored.run_id, "path": "a#b %41"}
    listed = stored.service.http.get(f"{API}/artifacts/list", params=parameters, headers=stored.service.bearer())
    assert [file["path"] for file in listed.json()["files"]] == ["a#b %41/file.txt"]


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "%2e%2e/x", "..%2fx", "/etc/passwd", "a\x00b", "", "\ue0252e\ue0252e/x"]
)
def test_no_path_leads_out_of_the_run(stored: Stored, path: str) -> None:
    stored.bucket.blob(f"{stored.folder.rpartition('/')[0].rpartition('/')[0]}/x").upload_from_string(b"another run's")
    answer = stored.get(path)
    assert answer.status_code in (400, 404)
    assert answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "status", "words"), [("nothing.txt", 404, "nothing.txt"), ("names", 400, "directory"), ("", 400, "path")]
)
def test_what_is_no_file_is_said_to_be_none(stored: Stored, path: str, status: int, words: str) -> None:
    stored.put("names/one.txt", b"1")
    answer = stored.get(path)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


def test_the_headers_are_mlflows(stored: Stored) -> None:
    stored.put("page.html", b"<script>alert(1)</script>")
    headers = stored.get("page.html").headers
    assert headers["Content-Disposition"] == "attachment; filename=page.html"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Length"] == "25"
    assert headers["ETag"]
    assert stored.get("page.html", **{"If-None-Match": headers["ETag"]}).status_code == 304


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=4-", 206, b"456789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=20-", 416, None),
        ("bytes=x", 416, None),
    ],
)
def test_a_range_is_served(stored: Stored, wanted: str, status: int, content: bytes | None) -> None:
    stored.put("digits.txt", b"0123456789")
    answer = stored.get("digits.txt", Range=wanted)
    assert answer.status_code == status
    if content is not None:
        assert answer.content == content
        assert answer.headers["Content-Range"].endswith("/10")


def test_an_empty_file_and_the_head_of_one(stored: Stored) -> None:
    stored.put("empty.txt", b"")
    stored.put("full.txt", b"1234")
    assert (stored.get("empty.txt").status_code, stored.get("empty.txt").content) == (200, b"")
    parameters = {"run_uuid": stored.run_id, "path": "full.txt"}
    head = stored.service.http.head("/get-artifact", params=parameters, headers=stored.service.bearer())
    assert (head.status_code, head.headers["Content-Length"]) == (200, "4")


def test_other_routes_stream_too(stored: Stored) -> None:
    service = stored.service
    stored.put("model/m.bin", b"model")
    call(service, "registered-models/create", name="m")
    call(
        service, "model-versions/create", name="m", source=f"gs://artifacts/{stored.folder}/model", run_id=stored.run_id
    )
    of_version = {"name": "m", "version": "1", "path": "m.bin"}
    answer = service.http.get("/model-versions/get-artifact", params=of_version, headers=service.bearer())
    assert answer.content == b"model"
    model = call(service, "logged-models", experiment_id="0", name="m")["model"]["info"]
    folder = str(model["artifact_uri"]).removeprefix("gs://artifacts/")
    stored.bucket.blob(f"{folder}/m#.bin").upload_from_string(b"logged")
    path = f"/ajax-api/2.0/mlflow/logged-models/{model['model_id']}/artifacts/files"
    answer = service.http.get(path, params={"artifact_file_path": "m#.bin"}, headers=service.bearer())
    assert answer.content == b"logged"


def read_all(stored: Stored, path: str) -> tuple[int, str | None, int]:
    """Returns status, Content-Length and the number of bytes of a download."""
    parameters = {"run_uuid": stored.run_id, "path": path}
    with (
        httpx.Client(base_url=stored.service.url, timeout=280) as client,
        client.stream("GET", "/get-artifact", params=parameters, headers=stored.service.bearer()) as answer,
    ):
        return answer.status_code, answer.headers.get("Content-Length"), sum(map(len, answer.iter_raw()))


@pytest.mark.parametrize("parallel", [1, 5])
def test_a_large_artifact_comes_in_chunks_and_flat_memory(stored: Stored, large: str, parallel: int) -> None:
    with peak_of(stored.service.container) as samples, ThreadPoolExecutor(parallel) as pool:
        answers = Counter(pool.map(lambda _: read_all(stored, large), range(parallel)))
        assert stored.service.search().status_code == 200
    assert answers == {(200, None, LARGE_MIB * MIB): parallel}
    assert stored.service.container.memory_kills() == 0
    assert max(samples) - samples[0] < 200


def slow_reader(stored: Stored, path: str) -> socket.socket:
    """Asks for a file, and reads no more than the first line of the answer."""
    host, port = stored.service.url.removeprefix("http://").split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.settimeout(60)
    connection.connect((host, int(port)))
    token = stored.service.bearer()["Authorization"]
    target = f"/get-artifact?run_uuid={stored.run_id}&path={path}"
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: {token}\r\n\r\n".encode())
    return connection


def test_eighty_readers_that_hardly_read_hold_little(stored: Stored, large: str) -> None:
    before = stored.service.container.memory_mib()
    with ExitStack() as readers, peak_of(stored.service.container) as samples:
        opened = [readers.enter_context(slow_reader(stored, large)) for _ in range(80)]
        assert {connection.recv(12) for connection in opened} == {b"HTTP/1.1 200"}
        assert stored.service.search().status_code == 200
    assert max(samples) - before < 150


def test_a_client_that_leaves_ends_the_reading(stored: Stored, large: str) -> None:
    def received() -> int:
        """Returns how many bytes the container received since it started, nearly all of them from the bucket."""
        lines = stored.service.container.execute("cat", "/proc/net/dev").splitlines()
        return sum(int(line.split()[1]) for line in lines if ":" in line and "lo:" not in line)

    before = received()
    token = stored.service.bearer()["Authorization"]
    host, port = stored.service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        target = f"/get-artifact?run_uuid={stored.run_id}&path={large}"
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: {token}\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    seen = [received()]

    def quiet() -> bool:
        seen.append(received())
        return len(seen) > 20 and seen[-1] == seen[-20]

    wait_for(quiet, "the end of the reading")
    assert seen[-1] - before < LARGE_MIB * MIB // 4
