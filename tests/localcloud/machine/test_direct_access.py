"""What opens the bucket without a token: the address of an upload, and a link that is signed."""

from __future__ import annotations

import base64
import json
import os
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import google_crc32c
import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from harness.buckets import ADA, SERVER
from localcloud.machine.signed_links import Link, LinkRefused
from localcloud.machine.uploads import UNIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.buckets import Place

CONTENT = os.urandom(3 * UNIT + 100)
NAME = "1/run/artifacts/ü x+y 100%/a#b.bin"


def session_of(place: Place, name: str = NAME) -> str:
    place.grant("objectUser")
    return str(place.bucket().blob(name).create_resumable_upload_session(content_type="text/x"))


def put(url: str, first: int, content: bytes, total: int | str, **headers: str) -> httpx.Response:
    last = first + len(content) - 1
    return httpx.put(url, content=content, headers={"Content-Range": f"bytes {first}-{last}/{total}", **headers})


def asked(url: str, total: int) -> httpx.Response:
    return httpx.put(url, headers={"Content-Range": f"bytes */{total}"})


def test_whoever_has_the_address_uploads_in_parts_and_asks_how_far_it_is(place: Place) -> None:
    url, total = session_of(place), len(CONTENT)
    assert (asked(url, total).status_code, "Range" in asked(url, total).headers) == (308, False)
    first = put(url, 0, CONTENT[: 2 * UNIT], total)
    assert (first.status_code, first.headers["Range"]) == (308, f"bytes=0-{2 * UNIT - 1}")
    assert asked(url, total).headers["Range"] == f"bytes=0-{2 * UNIT - 1}"
    whole = put(url, UNIT, CONTENT[UNIT:], total)  # what is there is not taken twice
    assert (whole.status_code, whole.json()["size"]) == (200, str(total))
    found = place.bucket().get_blob(NAME)
    assert (found.download_as_bytes(), found.content_type) == (CONTENT, "text/x")
    assert whole.json()["crc32c"] == found.crc32c
    assert asked(url, total).status_code == 404  # it is over


def test_what_came_before_a_connection_broke_is_there(place: Place) -> None:
    url = urlsplit(session_of(place))
    head = (
        f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {len(CONTENT)}\r\n"
        f"Content-Range: bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}\r\n\r\n"
    )
    with socket.create_connection((url.hostname or "", url.port or 0)) as connection:
        connection.sendall(head.encode() + CONTENT[: 2 * UNIT + 5])
    answer = asked(url.geturl(), len(CONTENT))
    assert (answer.status_code, answer.headers["Range"]) == (308, f"bytes=0-{2 * UNIT - 1}")
    assert place.bucket().get_blob(NAME) is None
    assert put(url.geturl(), 2 * UNIT, CONTENT[2 * UNIT :], len(CONTENT)).status_code == 200
    assert place.bucket().blob(NAME).download_as_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_small_object_goes_in_one_part(place: Place, content: bytes) -> None:
    assert httpx.put(session_of(place), content=content).status_code == 200
    assert place.bucket().blob(NAME).download_as_bytes() == content


def test_a_session_opens_nothing_but_its_object(place: Place) -> None:
    url = session_of(place)
    for other in (
        url.replace("acme-artifacts", "acme-other"),
        url[:-1] + ("A" if url[-1] != "A" else "B"),
        url.partition("?")[0] + "?uploadType=resumable",
        url.partition("?")[0] + "?uploadType=resumable&upload_id=../objects/x",
    ):
        assert httpx.put(other, content=b"x").status_code in (400, 404)
    assert httpx.get(url).status_code in (401, 404, 405)
    assert httpx.delete(url).status_code == 499
    assert httpx.put(url, content=b"x").status_code == 404


def test_a_part_that_does_not_go_with_the_rest_is_refused(place: Place) -> None:
    url = session_of(place)
    gap = put(url, UNIT, b"x", 2 * UNIT)
    assert (gap.status_code, "exceeds already uploaded size of 0" in gap.text) == (400, True)
    assert put(url, 0, b"x" * UNIT, "*").status_code == 308
    assert httpx.put(url, content=b"x", headers={"Content-Range": "bytes x"}).status_code == 400
    assert httpx.put(url, content=b"x" * 5, headers={"Content-Range": "bytes 0-2/3"}).status_code == 400


def test_an_object_with_another_checksum_is_not_stored(place: Place) -> None:
    other = base64.b64encode(google_crc32c.Checksum(b"other").digest()).decode()
    answer = put(session_of(place), 0, b"content", 7, **{"X-Goog-Hash": f"crc32c={other}"})
    assert (answer.status_code, "doesn't match calculated CRC32C" in answer.text) == (400, True)
    assert place.bucket().get_blob(NAME) is None


def test_nobody_begins_an_upload_without_permission(place: Place) -> None:
    place.grant("objectViewer", ADA)
    url = f"{place.url}/upload/storage/v1/b/acme-artifacts/o?uploadType=resumable&name=a"
    assert httpx.post(url).status_code == 401
    headers = {"Authorization": f"Bearer {place.identity.access_token(ADA)}"}
    assert httpx.post(url, headers=headers).status_code == 403


def test_a_signed_link_opens_its_object_with_ranges_and_a_name(place: Place) -> None:
    place.grant("objectUser")
    place.bucket().blob(NAME).upload_from_string(CONTENT)
    url = place.link(NAME, response_disposition='attachment; filename="a.bin"')
    answer = httpx.get(url)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a.bin"'
    assert (
        f"crc32c={base64.b64encode(google_crc32c.Checksum(CONTENT).digest()).decode()}" in answer.headers["X-Goog-Hash"]
    )
    part = httpx.get(url, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, CONTENT[5:10])
    generation = place.bucket().get_blob(NAME).generation
    of_version = place.link(NAME, generation=generation)
    assert httpx.get(of_version).status_code == 200
    place.bucket().blob(NAME).upload_from_string(b"another")
    assert httpx.get(of_version).status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda url: url.replace("X-Goog-Expires=60", "X-Goog-Expires=600"), 403, "SignatureDoesNotMatch"),
        (lambda url: url.replace("a%23b.bin", "other.bin"), 403, "SignatureDoesNotMatch"),
        (lambda url: url.replace("acme-artifacts/", "acme-other/"), 403, "SignatureDoesNotMatch"),
        (lambda url: url[:-2] + ("00" if url[-2:] != "00" else "11"), 403, "SignatureDoesNotMatch"),
        (lambda url: url + "&response-content-type=text/html", 403, "SignatureDoesNotMatch"),
        (lambda url: url.replace("mlflow-server%40", "mlflow-other%40"), 403, "SignatureDoesNotMatch"),
        (lambda url: url.replace("X-Goog-SignedHeaders=host", "X-Goog-SignedHeaders="), 400, "AuthenticationRequired"),
        (lambda url: url[:-2] + "zz", 400, "AuthenticationRequired"),
    ],
)
def test_a_changed_link_opens_nothing(place: Place, change: Callable[[str], str], status: int, code: str) -> None:
    place.grant("objectUser")
    for name in (NAME, NAME.replace("a#b.bin", "other.bin")):
        place.bucket().blob(name).upload_from_string(b"x")
    answer = httpx.get(change(place.link(NAME)))
    assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True), answer.text
    assert httpx.put(place.link(NAME), content=b"x").status_code in (403, 405)


def test_a_link_ends_and_so_does_the_role_of_whoever_signed_it(place: Place) -> None:
    grant = place.grant("objectUser")
    place.bucket().blob(NAME).upload_from_string(b"x")
    url = place.link(NAME)
    parts = urlsplit(url)
    link = Link(method="GET", path=parts.path, query=parts.query, headers={"host": parts.netloc})
    verify = place.identity.account_keys.has_signed
    assert link.signer(verify, datetime.now(UTC)) == SERVER
    with pytest.raises(LinkRefused) as refused:
        link.signer(verify, datetime.now(UTC) + timedelta(seconds=61))
    assert (refused.value.status, refused.value.code) == (400, "ExpiredToken")
    place.cloud.store.remove("google_storage_bucket_iam_member", grant)
    assert "<Code>AccessDenied</Code>" in httpx.get(url).text


# Some of Google's own vectors, and the public half of the key that was made for them:
# https://github.com/googleapis/conformance-tests/tree/main/storage/v1
VECTORS = json.loads(Path(__file__).with_name("google_signed_links.json").read_text())


@pytest.mark.parametrize("vector", VECTORS["links"], ids=lambda vector: vector["description"])
def test_a_link_that_google_publishes_is_read_as_google_reads_it(vector: dict[str, Any]) -> None:
    key = RSAPublicNumbers(65537, int(VECTORS["modulus"], 16)).public_key()

    def has_signed(_: str, content: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, content, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True

    parts = urlsplit(vector["url"])
    headers = {name.lower(): value for name, value in vector["headers"].items()} | {"host": parts.netloc}
    link = Link(method=vector["method"], path=parts.path, query=parts.query, headers=headers)
    begins = datetime.strptime(dict(parse_qsl(parts.query))["X-Goog-Date"], "%Y%m%dT%H%M%S%z")
    assert link.signer(has_signed, begins) == "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com"
    with pytest.raises(LinkRefused, match="Access denied"):
        replace(link, path=f"{parts.path}x").signer(has_signed, begins)
