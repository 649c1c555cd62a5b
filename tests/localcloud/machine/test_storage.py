"""google-cloud-storage meets Cloud Storage as it is: objects that last, and access as the bucket's bindings say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from google.api_core.exceptions import BadRequest, Forbidden, NotFound
from google.cloud import storage
from google.oauth2.credentials import Credentials

from localcloud.background import serving
from localcloud.identity import ISSUER, IdentityProvider
from localcloud.machine.metadata import metadata, variables
from localcloud.machine.storage import ObjectStore, gate
from localcloud.model import Refused
from localcloud.resource import Cloud
from localcloud.services.iam import ProjectMember
from localcloud.services.storage import Bucket, BucketMember
from localcloud.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.model import Object

SERVER = "mlflow-server@acme.iam.gserviceaccount.com"
ADA = "ada@example.com"
BUCKET: Object = {"name": "acme-artifacts", "project": "acme", "force_destroy": False}
OTHER: Object = {"name": "acme-other", "project": "acme", "force_destroy": False}
MIB = 1024 * 1024
DEADLINE_S = 20


@dataclass(frozen=True, kw_only=True)
class Place:
    """A Cloud Storage of one's own, and ways to it."""

    cloud: Cloud
    identity: IdentityProvider
    store: ObjectStore
    url: str

    def grant(self, role: str, email: str = SERVER, bucket: Object = BUCKET) -> str:
        """Binds a role on a bucket; returns the binding's id."""
        kind = "serviceAccount" if email.endswith(".gserviceaccount.com") else "user"
        member = email if ":" in email else f"{kind}:{email}"
        key = f"b/{bucket['name']}/roles/storage.{role}/{member}"
        binding: Object = {"id": key, "bucket": f"b/{bucket['name']}", "role": f"roles/storage.{role}"}
        self.cloud.store.put(BucketMember.type, key, {**binding, "member": member})
        return key

    def client(self, email: str = SERVER) -> storage.Client:
        """Google's client, signed in with an access token."""
        credentials = Credentials(self.identity.access_token(email))
        return storage.Client(project="acme", credentials=credentials, client_options={"api_endpoint": self.url})

    def bucket(self, email: str = SERVER, bucket: Object = BUCKET) -> storage.Bucket:
        return self.client(email).bucket(bucket["name"])


@pytest.fixture(scope="module")
def running_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    store = ObjectStore(tmp_path_factory.mktemp("objects"))
    store.start()
    yield store
    store.stop()


@pytest.fixture(scope="module")
def identity() -> IdentityProvider:
    return IdentityProvider(clients={})


@pytest.fixture
def place(tmp_path: Path, identity: IdentityProvider, running_store: ObjectStore) -> Iterator[Place]:
    with ExitStack() as stack:
        books = Store(tmp_path / "cloud")
        stack.callback(books.close)
        cloud = Cloud(books)
        for bucket in (BUCKET, OTHER):
            running_store.create_bucket(bucket)
            books.put(Bucket.type, str(bucket["name"]), bucket)
            stack.callback(running_store.remove_bucket, {**bucket, "force_destroy": True})
        port = stack.enter_context(serving(gate(cloud, identity, running_store)))
        yield Place(cloud=cloud, identity=identity, store=running_store, url=f"http://127.0.0.1:{port}")


def test_what_is_uploaded_can_be_listed_downloaded_changed_and_deleted(place: Place) -> None:
    place.grant("objectUser")
    bucket = place.bucket()
    name = "1/run/artifacts/ü x+y 100%/model.txt"
    bucket.blob(name).upload_from_string("hello", content_type="text/plain")
    (found,) = bucket.list_blobs(prefix="1/run/")
    assert (found.name, found.size, found.content_type, found.download_as_text()) == (name, 5, "text/plain", "hello")
    found.metadata = {"stage": "test"}
    found.patch()
    assert bucket.get_blob(name).metadata == {"stage": "test"}
    found.delete()
    assert bucket.get_blob(name) is None


@pytest.mark.parametrize("chunk_size", [None, 8 * MIB, 100 * MIB])
def test_a_model_of_50_mb_is_uploaded_in_one_piece_or_several(place: Place, chunk_size: int | None) -> None:
    place.grant("objectUser")
    model = os.urandom(50 * MIB)
    place.bucket().blob("model.pkl", chunk_size=chunk_size).upload_from_string(model)
    assert place.bucket().blob("model.pkl", chunk_size=chunk_size).download_as_bytes() == model


def test_an_upload_goes_on_at_the_address_at_which_it_began(place: Place) -> None:
    headers = {"Authorization": f"Bearer {place.identity.access_token(SERVER)}", "Host": "host.internal:8123"}
    place.grant("objectUser")
    url = f"{place.url}/upload/storage/v1/b/acme-artifacts/o?uploadType=resumable"
    answer = httpx.post(url, headers=headers, json={"name": "a"})
    assert answer.headers["Location"].startswith("http://host.internal:8123/upload/storage/v1/b/acme-artifacts/o?")


def test_a_service_needs_no_setting_but_where_things_are(place: Place, tmp_path: Path) -> None:
    place.grant("objectUser")
    program = """if True:
        from google.cloud import storage
        blob = storage.Client().bucket("acme-artifacts").blob("a")
        blob.upload_from_string("hello")
        print(blob.download_as_text())"""
    account = metadata(place.identity, email=SERVER, project="acme", number="1", region="europe-west1")
    with serving(account) as port:
        environment = {
            "HOME": str(tmp_path),
            "HTTPS_PROXY": "http://127.0.0.1:9",  # what google-auth asks Google about a service account stays here
            "API_ENDPOINT_OVERRIDE": place.url,
            **variables(f"127.0.0.1:{port}"),
        }
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
        )
    assert (done.stdout, done.returncode) == ("hello\n", 0), done.stderr


def test_mlflow_uses_it_unchanged(place: Place, tmp_path: Path) -> None:
    from mlflow.store.artifact.gcs_artifact_repo import GCSArtifactRepository  # noqa: PLC0415 - slow to import

    place.grant("objectUser")
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "model").mkdir(parents=True)
    target.mkdir()
    (source / "model" / "weights").write_bytes(os.urandom(9 * MIB))
    (source / "metrics.json").write_text("{}")
    repository = GCSArtifactRepository("gs://acme-artifacts/1/run/artifacts", client=place.client())
    repository.log_artifacts(str(source))
    assert [(file.path, file.is_dir) for file in repository.list_artifacts()] == [
        ("metrics.json", False),
        ("model", True),
    ]
    repository.download_artifacts("model", str(target))
    assert (target / "model" / "weights").read_bytes() == (source / "model" / "weights").read_bytes()
    repository.delete_artifacts()
    assert repository.list_artifacts() == []


def test_a_viewer_reads_and_changes_nothing(place: Place) -> None:
    place.grant("objectUser", ADA)
    place.bucket(ADA).blob("a").upload_from_string("hello")
    place.grant("objectViewer")
    bucket = place.bucket()
    assert [blob.name for blob in bucket.list_blobs()] == ["a"]
    assert bucket.blob("a").download_as_text() == "hello"
    blob = bucket.blob("a")
    blob.metadata = {"a": "b"}
    for permission, call in {
        "create": lambda: bucket.blob("b").upload_from_string("x"),
        "update": blob.patch,
        "delete": blob.delete,
    }.items():
        with pytest.raises(Forbidden) as refusal:
            call()
        assert f"{SERVER} does not have storage.objects.{permission} access" in str(refusal.value)
    with pytest.raises(Forbidden, match=r"storage\.objects\.create"):
        bucket.blob("big").upload_from_string(bytes(9 * MIB))
    assert bucket.blob("a").download_as_text() == "hello"


def test_a_creator_only_creates(place: Place) -> None:
    place.grant("objectCreator")
    place.bucket().blob("a").upload_from_string("x")
    for call in (place.bucket().blob("a").download_as_bytes, lambda: list(place.bucket().list_blobs())):
        with pytest.raises(Forbidden):
            call()


def test_a_role_that_is_taken_away_is_gone_at_once(place: Place) -> None:
    binding, blob = place.grant("objectUser"), place.bucket().blob("a")
    blob.upload_from_string("x")
    place.cloud.store.remove(BucketMember.type, binding)
    with pytest.raises(Forbidden, match=r"storage\.objects\.get"):
        blob.download_as_bytes()


@pytest.mark.parametrize("role", ["objectAdmin", "admin"])
def test_a_role_on_another_bucket_does_not_help(place: Place, role: str) -> None:
    place.grant(role, bucket=OTHER)
    with pytest.raises(Forbidden, match=r"storage\.objects\.create"):
        place.bucket().blob("a").upload_from_string("x")


@pytest.mark.parametrize("role", ["owner", "editor", "viewer"])
def test_basic_roles_on_the_project_open_no_object(place: Place, role: str) -> None:
    binding: Object = {"id": "k", "project": "acme", "role": f"roles/{role}", "member": f"serviceAccount:{SERVER}"}
    place.cloud.store.put(ProjectMember.type, "k", binding)
    with pytest.raises(Forbidden, match=r"storage\.objects\.list"):
        list(place.bucket().list_blobs())


def test_a_person_may_be_let_in_by_domain(place: Place) -> None:
    place.grant("objectViewer", "domain:example.com")
    assert list(place.bucket(ADA).list_blobs()) == []
    with pytest.raises(Forbidden):
        list(place.bucket("eve@evil.example.com").list_blobs())


def test_the_metadata_of_a_bucket_are_for_those_who_may_see_them(place: Place) -> None:
    place.grant("objectAdmin")
    with pytest.raises(Forbidden, match=r"storage\.buckets\.get access to the Google Cloud Storage bucket"):
        place.client().get_bucket("acme-artifacts")
    place.grant("bucketViewer")
    assert place.client().get_bucket("acme-artifacts").name == "acme-artifacts"


def test_nobody_gets_in_without_a_token(place: Place) -> None:
    place.grant("objectAdmin")
    error = httpx.get(f"{place.url}/storage/v1/b/acme-artifacts/o").json()["error"]
    assert (error["code"], error["errors"][0]["reason"]) == (401, "required")
    assert error["message"].startswith("Anonymous caller does not have storage.objects.list access")


def test_everybody_gets_in_where_everybody_may(place: Place) -> None:
    key = "b/acme-artifacts/roles/storage.objectViewer/allUsers"
    binding: Object = {"id": key, "role": "roles/storage.objectViewer", "member": "allUsers"}
    place.cloud.store.put(BucketMember.type, key, binding)
    assert httpx.get(f"{place.url}/storage/v1/b/acme-artifacts/o").status_code == 200


def of_another_key(_: IdentityProvider) -> str:
    return IdentityProvider(clients={}).access_token(SERVER)


def identity_token(identity: IdentityProvider) -> str:
    return identity.token(audience=ISSUER, email=SERVER)


def disguised_identity_token(identity: IdentityProvider) -> str:
    return "ya29." + identity.token(audience=ISSUER, email=SERVER)


def expired(identity: IdentityProvider) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: 1_000_000_000)
        return identity.access_token(SERVER)


@pytest.mark.parametrize("make", [of_another_key, identity_token, disguised_identity_token, expired, lambda _: "x"])
def test_only_this_providers_living_access_tokens_count(place: Place, make: Any) -> None:
    place.grant("objectAdmin")
    headers = {"Authorization": f"Bearer {make(place.identity)}"}
    answer = httpx.get(f"{place.url}/storage/v1/b/acme-artifacts/o", headers=headers)
    assert (answer.status_code, answer.json()["error"]["message"]) == (401, "Invalid Credentials")


def test_a_bucket_that_is_not_there_is_not_found(place: Place) -> None:
    with pytest.raises(NotFound, match="The specified bucket does not exist"):
        list(place.client().bucket("acme-nothing").list_blobs())


NAME = "../acme-other/stolen"
METADATA = f'--b\r\ncontent-type: application/json\r\n\r\n{{"name": "{NAME}"}}\r\n--b\r\n\r\nx\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (f"uploadType=media&name={NAME}", "x"),
        (f"uploadType=media&upload_id=x&name={NAME}", "x"),
        (f"uploadType=multipart&name={NAME}", METADATA),
        ("uploadType=multipart", METADATA),
        ("uploadType=multipart&upload_id=x", METADATA),
        ("uploadType=resumable", json.dumps({"name": NAME})),
        (f"uploadType=media&name=innocent&name={NAME}", "x"),
    ],
)
def test_no_name_of_an_object_leads_out_of_its_bucket(place: Place, query: str, body: str) -> None:
    place.grant("objectAdmin")
    place.grant("objectViewer", bucket=OTHER)
    headers = {
        "Authorization": f"Bearer {place.identity.access_token(SERVER)}",
        "Content-Type": "multipart/related; boundary=b",
    }
    httpx.post(f"{place.url}/upload/storage/v1/b/acme-artifacts/o?{query}", headers=headers, content=body)
    assert list(place.bucket(bucket=OTHER).list_blobs()) == []
    with pytest.raises(BadRequest, match="has a part that is empty"):
        place.bucket().blob(NAME).download_as_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/_internal/config",
        "/storage/v1/b",
        "/acme-other/a",
        "/storage/v1/b/acme-artifacts/o/a/rewriteTo/b/acme-other/o/b",
        "/storage/v1/b/acme-artifacts/../acme-other/o",
        "/batch/storage/v1",
    ],
)
def test_there_is_no_way_around_the_check(place: Place, path: str) -> None:
    place.grant("admin")
    headers = {"Authorization": f"Bearer {place.identity.access_token(SERVER)}"}
    with httpx.Client(base_url=place.url, headers=headers) as caller:
        for method in ("GET", "POST", "PUT", "DELETE"):
            request = caller.build_request(method, "/")
            request.url = request.url.copy_with(raw_path=path.encode())
            answer = caller.send(request)
            assert (answer.status_code, answer.json()["error"]["code"]) in {(404, 404), (405, 405), (403, 403)}


def test_objects_survive_a_restart_of_everything(place: Place, tmp_path: Path) -> None:
    store = ObjectStore(tmp_path / "objects")
    place.grant("objectUser")
    for text in ("first", "second"):
        store.start()
        store.create_bucket(BUCKET)
        with serving(gate(place.cloud, place.identity, store)) as port:
            bucket = replace(place, url=f"http://127.0.0.1:{port}").bucket()
            if text == "second":
                blob = bucket.get_blob("a/b")
                assert (blob.download_as_text(), blob.content_type) == ("first", "text/x")
            bucket.blob("a/b", chunk_size=MIB).upload_from_string(text, content_type="text/x")
        store.stop()


def test_while_the_store_is_down_the_answer_says_so(place: Place, tmp_path: Path) -> None:
    place.grant("objectViewer")
    headers = {"Authorization": f"Bearer {place.identity.access_token(SERVER)}"}
    store = ObjectStore(tmp_path / "objects")
    store.start()
    with serving(gate(place.cloud, place.identity, store)) as port:
        store.stop()
        answer = httpx.get(f"http://127.0.0.1:{port}/storage/v1/b/acme-artifacts/o", headers=headers)
    assert answer.status_code == 503


def test_a_bucket_with_objects_goes_only_by_force(place: Place) -> None:
    place.grant("objectUser")
    for name in ("a", "b/c"):
        place.bucket().blob(name).upload_from_string("x")
    with pytest.raises(Refused, match="bucket you tried to delete is not empty: acme-artifacts"):
        place.store.remove_bucket(BUCKET)
    place.store.remove_bucket({**BUCKET, "force_destroy": True})
    place.store.remove_bucket(BUCKET)
    place.store.create_bucket(BUCKET)
    assert list(place.bucket().list_blobs()) == []


def test_a_bucket_whose_objects_are_deleted_can_go(place: Place) -> None:
    place.grant("objectUser")
    place.bucket().blob("a/b").upload_from_string("x")
    place.bucket().blob("a/b").delete()
    place.store.remove_bucket(BUCKET)


def answers(origin: str) -> bool:
    try:
        return httpx.get(f"{origin}/storage/v1/b").is_success
    except httpx.TransportError:
        return False


def test_the_store_ends_with_whoever_started_it(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib; from localcloud.machine.storage import ObjectStore\n"
        "store = ObjectStore(pathlib.Path(sys.argv[1])); store.start(); print(store.origin, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    origin = owner.stdout.readline().strip()
    assert answers(origin)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + DEADLINE_S
    while (alive := answers(origin)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive
