"""Who may do what with objects is asked of IAM, at every request, in Google's words; there is no way around."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from google.api_core.exceptions import BadRequest, Forbidden, NotFound

from harness.buckets import ADA, OTHER, SERVER
from localcloud.machine.identity import ISSUER, IdentityProvider
from localcloud.services.iam import ProjectMember
from localcloud.services.storage import BucketMember

if TYPE_CHECKING:
    from harness.buckets import Place
    from localcloud.terraform.model import Object

MIB = 1024 * 1024


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
    return IdentityProvider(clients={}.get).access_token(SERVER)


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
