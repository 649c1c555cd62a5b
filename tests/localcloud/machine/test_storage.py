"""google-cloud-storage meets Cloud Storage as it is, with objects that last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from harness.buckets import BUCKET, SERVER
from localcloud.machine.background import serving
from localcloud.machine.metadata import Metadata, only, variables
from localcloud.machine.storage import ObjectStore, gate
from localcloud.terraform.model import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from harness.buckets import Place

MIB = 1024 * 1024
DEADLINE_S = 20


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
    account = Metadata(place.identity, whose=only(SERVER), project="acme", number="1", region="europe-west1")
    with serving(account.application()) as port:
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


def test_objects_survive_a_restart_of_everything(place: Place, tmp_path: Path) -> None:
    store = ObjectStore(tmp_path / "objects")
    place.grant("objectUser")
    for text in ("first", "second"):
        store.start()
        store.create_bucket(BUCKET)
        with serving(gate(place.cloud, place.identity, store, place.versions.keep)) as port:
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
    with serving(gate(place.cloud, place.identity, store, place.versions.keep)) as port:
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
