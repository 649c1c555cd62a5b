"""The client's side of artifacts without a role at the bucket: what is chosen, what breaks, and what is said then."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests
from mlflow.exceptions import MlflowException

from harness.buckets import Place, two_buckets
from harness.relay import Relay
from localcloud.machine.identity import IdentityProvider
from localcloud.machine.storage import ObjectStore

sys.path.insert(0, str(Path(__file__).parents[2] / "client" / "src"))
from mlflow_google import choice, transfer
from mlflow_google.artifacts import LinkedArtifactRepository, Owner
from mlflow_google.errors import CredentialError, TransferError
from mlflow_google.plugins import gs_repository

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN, MODEL = "0123456789abcdef" * 2, "m-" + "0123456789abcdef" * 2
PLACE = f"gs://bucket/1/{RUN}/artifacts"
CONTENT = os.urandom(3 * 1024 * 1024 + 5)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("bucket")
    store = ObjectStore(folder / "objects")
    store.start()
    try:
        with two_buckets(folder / "books", IdentityProvider(clients={}.get), store) as made:
            made.grant("objectUser")
            yield made
    finally:
        store.stop()


@pytest.fixture
def relay(place: Place) -> Iterator[tuple[Relay, str]]:
    made = Relay()
    with made.standing(urlsplit(place.url).port or 0) as url:
        yield made, url


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "CHUNK", 1024 * 1024)
    monkeypatch.setattr(transfer, "FIRST_PAUSE_S", 0.05)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(CONTENT)
    return path


def session(place: Place, name: str = "a") -> str:
    return str(place.bucket().blob(name).create_resumable_upload_session())


@pytest.mark.parametrize(
    ("uri", "owner"),
    [
        (PLACE, Owner("run_id", RUN, "")),
        (f"{PLACE}/model/a", Owner("run_id", RUN, "model/a")),
        (f"gs://bucket/team/folder/1/{RUN}/artifacts/", Owner("run_id", RUN, "")),
        (f"gs://bucket/1/models/{MODEL}/artifacts/x", Owner("model_id", MODEL, "x")),
        (f"{PLACE}/{RUN}/artifacts/b", Owner("run_id", RUN, f"{RUN}/artifacts/b")),
    ],
)
def test_a_place_says_whose_it_is(uri: str, owner: Owner) -> None:
    assert Owner.of(uri) == owner


@pytest.mark.parametrize(
    "uri", ["gs://bucket", "gs://bucket/1/traces/tr-1/artifacts", f"gs://bucket/1/{RUN}", "gs://b/x"]
)
def test_what_no_server_hands_out_is_refused_with_a_sentence(uri: str) -> None:
    with pytest.raises(MlflowException, match="is not the place of a run or of a logged model"):
        LinkedArtifactRepository(uri)
    with pytest.raises(MlflowException, match="Files are deleted at the bucket alone"):
        LinkedArtifactRepository(PLACE).delete_artifacts("a")


def test_links_are_chosen_by_a_variable_or_where_there_is_no_credential(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", choice.CHOICE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.com")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    choice.has_credential.cache_clear()
    assert isinstance(gs_repository(PLACE), LinkedArtifactRepository)
    monkeypatch.setenv(choice.CHOICE, "bucket")
    assert not choice.links_are_wanted()
    monkeypatch.setenv(choice.CHOICE, "none")
    with pytest.raises(CredentialError, match="is links or bucket, and not 'none'"):
        choice.links_are_wanted()
    monkeypatch.delenv(choice.CHOICE)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///x.db")
    assert not choice.links_are_wanted()
    choice.has_credential.cache_clear()


def test_an_upload_goes_on_where_it_broke_off_and_no_line_holds_its_address(
    place: Place, relay: tuple[Relay, str], source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    way, url = relay
    way.cuts[:] = [1024 * 1024 + 300_000, 1, 700_000]
    address = session(place).replace(place.url, url)
    with caplog.at_level(logging.INFO):
        transfer.upload(str(source), lambda: address)
    assert place.bucket().blob("a").download_as_bytes() == CONTENT
    assert (way.broken, caplog.text.count("it goes on from there")) == (3, 3)
    assert "upload_id" not in caplog.text


def test_a_session_that_is_over_is_replaced_by_another(place: Place, source: Path) -> None:
    over = session(place)
    requests.delete(over, timeout=10)
    sessions = [over, session(place, "b")]
    transfer.upload(str(source), lambda: sessions.pop(0))
    assert place.bucket().blob("b").download_as_bytes() == CONTENT
    with pytest.raises(TransferError, match="was ended by Cloud Storage, 3 times"):
        transfer.upload(str(source), lambda: over)


def test_a_download_goes_on_where_it_broke_off(place: Place, relay: tuple[Relay, str], tmp_path: Path) -> None:
    way, url = relay
    place.bucket().blob("c").upload_from_string(CONTENT)
    way.cuts[:] = [1_500_000, 1_500_000]
    target, starts = tmp_path / "target", list[int]()

    def ask(start: int) -> requests.Response:
        starts.append(start)
        headers = {"Range": f"bytes={start}-"} if start else {}
        return transfer.get(place.link("c", api_access_endpoint=url), headers)

    transfer.download(str(target), ask)
    assert target.read_bytes() == CONTENT
    assert len(starts) == 3
    assert starts == sorted(starts)


def test_a_file_that_changed_meanwhile_is_downloaded_from_its_beginning(
    place: Place, relay: tuple[Relay, str], tmp_path: Path
) -> None:
    way, url = relay
    place.bucket().blob("d").upload_from_string(CONTENT)
    way.cuts[:] = [1_500_000]
    target, other = tmp_path / "target", os.urandom(len(CONTENT))

    def ask(start: int) -> requests.Response:
        if start and place.bucket().blob("d").download_as_bytes() != other:
            place.bucket().blob("d").upload_from_string(other)
        return transfer.get(place.link("d", api_access_endpoint=url), {"Range": f"bytes={start}-"} if start else {})

    transfer.download(str(target), ask)
    assert target.read_bytes() == other


def test_what_did_not_arrive_as_it_is_is_an_error(place: Place, source: Path, tmp_path: Path) -> None:
    place.bucket().blob("e").upload_from_string(CONTENT)

    def ask(_: int) -> requests.Response:
        answer = transfer.get(place.link("e"), {})
        answer.headers["X-Goog-Hash"] = "crc32c=AAAAAA=="
        return answer

    with pytest.raises(TransferError, match="did not arrive as it is: CRC32C"):
        transfer.download(str(tmp_path / "target"), ask)

    def truncating() -> str:
        source.write_bytes(b"x")
        return session(place, "f")

    with pytest.raises(TransferError, match="became shorter"):
        transfer.upload(str(source), truncating)


def test_a_refusal_is_told_in_the_buckets_words_without_the_address(place: Place, tmp_path: Path) -> None:
    place.bucket().blob("g").upload_from_string(b"x")
    link = place.link("g")
    with pytest.raises(TransferError) as refused:
        transfer.download(str(tmp_path / "target"), lambda _: transfer.get(link.replace("/g?", "/other?"), {}))
    assert "403 SignatureDoesNotMatch Access denied." in str(refused.value)
    assert "X-Goog" not in str(refused.value)


def test_it_is_given_up_when_nothing_moves(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PATIENCE_S", 0.3)
    with pytest.raises(TransferError) as given_up:
        transfer.upload(str(source), lambda: "http://127.0.0.1:1/upload?upload_id=secret")
    assert "nothing has moved for" in str(given_up.value)
    assert "secret" not in "".join(map(str, (given_up.value, given_up.value.__cause__)))


def test_a_password_in_netrc_stays_there(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with listening() as (url, heads):
        monkeypatch.setattr(transfer, "PATIENCE_S", 0.2)
        with pytest.raises(TransferError):
            transfer.upload(str(source), lambda: url)
    assert heads
    assert "authorization" not in heads[0].lower()


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """A server that notes the head of each request, and does not answer."""
    heads: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def note() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    heads.append(connection.recv(4096).decode("latin-1"))

        thread = threading.Thread(target=note, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/", heads
