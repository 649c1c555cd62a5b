"""What was overwritten or deleted can be brought back for as long as Google keeps it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from harness.buckets import BUCKET, OTHER
from localcloud.machine.object_versions import ObjectVersions
from localcloud.services.storage import Bucket
from localcloud.terraform.model import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from harness.buckets import Place
    from localcloud.machine.object_versions import Version
    from localcloud.terraform.model import Object

DAY_S = 24 * 60 * 60
SOFT_DELETE: Object = {"soft_delete_policy": [{"retention_duration_seconds": 7 * DAY_S}]}
VERSIONED: Object = {
    **BUCKET,
    **SOFT_DELETE,
    "versioning": [{"enabled": True}],
    "lifecycle_rule": [
        {"action": [{"type": "Delete"}], "condition": [{"days_since_noncurrent_time": 30, "with_state": "ARCHIVED"}]}
    ],
}
PLAIN: Object = {**BUCKET, **SOFT_DELETE}
NOTHING_KEPT: Object = {**BUCKET, "soft_delete_policy": [{"retention_duration_seconds": 0}]}


@dataclass
class Clock:
    """A clock that can be put forward."""

    ahead_s: float = 0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture
def bucket(place: Place, request: pytest.FixtureRequest) -> Object:
    described: Object = request.param
    place.cloud.store.put(Bucket.type, str(BUCKET["name"]), described)
    place.grant("objectUser")
    return described


def names(versions: list[Version]) -> list[str]:
    return [version.name for version in versions]


@pytest.mark.parametrize("bucket", [VERSIONED], indirect=True)
@pytest.mark.parametrize("chunk_size", [None, 256 * 1024], ids=["whole", "in pieces"])
def test_every_version_of_an_object_can_be_copied_back(place: Place, bucket: Object, chunk_size: int | None) -> None:
    name = "1/run/artifacts/ü x+y#1 100%/model.txt"
    for content in ("first", "second" * 100_000, "third"):
        blob = place.bucket().blob(name, chunk_size=chunk_size)
        blob.metadata = {"stage": content[:6]}
        blob.upload_from_string(content, content_type="text/plain")
    place.bucket().blob(name).delete()
    found = place.versions.noncurrent(bucket)
    assert names(found) == [name] * 3
    assert [version.metadata["stage"] for version in found] == ["first", "second", "third"]
    for version, content in zip(found, ("first", "second" * 100_000, "third"), strict=True):
        place.versions.copy(bucket, version, bucket, name)
        back = place.bucket().get_blob(name)
        assert (back.download_as_text(), back.content_type, back.metadata["stage"]) == (
            content,
            "text/plain",
            content[:6],
        )
    place.cloud.store.put(Bucket.type, str(OTHER["name"]), OTHER)
    place.grant("objectUser", bucket=OTHER)
    place.versions.copy(bucket, found[0], OTHER, "elsewhere")
    assert place.bucket(bucket=OTHER).blob("elsewhere").download_as_text() == "first"


@pytest.mark.parametrize("bucket", [VERSIONED], indirect=True)
def test_a_version_is_soft_deleted_after_its_days_and_then_gone(place: Place, bucket: Object, tmp_path: Path) -> None:
    clock = Clock()
    versions = ObjectVersions(tmp_path / "cloud" / "versions", place.store, clock)
    place.bucket().blob("a").upload_from_string("kept")
    place.bucket().blob("a").delete()
    seen: list[tuple[list[str], list[str]]] = []
    for days in (29, 31, 36, 38):
        clock.ahead_s = days * DAY_S
        seen.append((names(versions.noncurrent(bucket)), names(versions.soft_deleted(bucket))))
    assert seen == [(["a"], []), ([], ["a"]), ([], ["a"]), ([], [])]


@pytest.mark.parametrize(("bucket", "kept"), [(PLAIN, ["a", "a"]), (NOTHING_KEPT, [])], indirect=["bucket"])
def test_without_versions_an_object_is_soft_deleted_at_once(place: Place, bucket: Object, kept: list[str]) -> None:
    for content in ("first", "second"):
        place.bucket().blob("a").upload_from_string(content)
    place.bucket().blob("a").delete()
    assert (place.versions.noncurrent(bucket), names(place.versions.soft_deleted(bucket))) == ([], kept)


@pytest.mark.parametrize("bucket", [VERSIONED], indirect=True)
def test_a_bucket_with_versions_goes_only_by_force(place: Place, bucket: Object) -> None:
    place.bucket().blob("a").upload_from_string("x")
    place.bucket().blob("a").delete()
    with pytest.raises(Refused, match="bucket you tried to delete is not empty: acme-artifacts"):
        place.versions.check_empty(bucket)
    place.versions.check_empty({**bucket, "force_destroy": True})
    place.versions.forget(bucket)
    assert place.versions.noncurrent(bucket) == []


@pytest.mark.parametrize("bucket", [VERSIONED], indirect=True)
def test_what_did_not_change_has_no_versions(place: Place, bucket: Object) -> None:
    place.bucket().blob("a").upload_from_string("x")
    place.versions.keep(bucket, "a")
    assert place.versions.noncurrent(bucket) == []
