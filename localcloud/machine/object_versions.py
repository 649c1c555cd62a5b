"""Cloud Storage: what was overwritten or deleted, for as long as the bucket keeps it.

With versioning it is a noncurrent version until a lifecycle rule deletes it; then, or at once without versioning, it is
soft-deleted for the time of the bucket's policy: https://cloud.google.com/storage/docs/object-versioning and
https://cloud.google.com/storage/docs/soft-delete. The emulator knows neither: what is about to change is copied first.
Left out: other conditions of lifecycle rules than days_since_noncurrent_time, deleting a version by its generation,
versions in the JSON API, and what two uploads of one name at a time replace.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx

from localcloud.terraform.model import Object, Problem, Refused, at, objects, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from localcloud.machine.storage import ObjectStore

_DAY_S = 24 * 60 * 60
_SOFT_DELETE_S = 7 * _DAY_S  # Google's default
_NOT_FOUND = 404


@dataclass(frozen=True, kw_only=True)
class Version:
    """An object as it was.

    Attributes:
        name: its name in the bucket.
        generation: what tells its versions apart; later ones are greater.
        since: when it was replaced or deleted, in seconds since the epoch; 0 for the live one.
        content_type: that of its content.
        metadata: what its owner noted about it.
    """

    name: str
    generation: int
    since: float = 0
    content_type: str = ""
    metadata: dict[str, str]


class ObjectVersions:
    """The versions of all buckets.

    Args:
        folder: Where they are kept.
        store: Where the live objects are.
        clock: The time, in seconds since the epoch.
    """

    def __init__(self, folder: Path, store: ObjectStore, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._store = store
        self._clock = clock

    def keep(self, bucket: Object, name: str) -> None:
        """Copies a live object, if it is there, which is about to be replaced or deleted."""
        live = self._live(bucket, name)
        if not live or not (_versioned(bucket) or _soft_delete_s(bucket)):
            return
        folder = self._place(bucket, name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = folder / str(live.generation)
        if not content.exists():  # an upload in pieces replaces it once
            with (
                httpx.stream("GET", self._url(bucket, name), params={"alt": "media"}) as answer,
                content.with_suffix(".part").open("wb") as file,
            ):
                answer.raise_for_status()
                for piece in answer.iter_bytes():
                    file.write(piece)
            content.with_suffix(".part").replace(content)
        noted = asdict(live) | {"since": self._clock()}
        (folder / f"{live.generation}.json").write_text(json.dumps(noted))

    def live(self, bucket: Object) -> list[Version]:
        """Every live object, by name."""
        found: list[Version] = []
        page = ""
        while True:
            parameters = {"pageToken": page} if page else {}
            answer = httpx.get(f"{self._store.origin}/storage/v1/b/{text(bucket, 'name')}/o", params=parameters).json()
            found += map(_version, answer.get("items", []))
            page = answer.get("nextPageToken", "")
            if not page:
                return sorted(found, key=lambda version: version.name)

    def noncurrent(self, bucket: Object) -> list[Version]:
        """Every noncurrent version, by name and age, the oldest first."""
        return [version for version in self._kept(bucket) if self._clock() < _noncurrent_until(bucket, version)]

    def soft_deleted(self, bucket: Object) -> list[Version]:
        """Every object that is soft-deleted, in the same order."""
        found: list[Version] = []
        for version in self._kept(bucket):
            deleted = _noncurrent_until(bucket, version)
            if deleted <= self._clock() < deleted + _soft_delete_s(bucket):
                found.append(version)
        return found

    def copy(self, bucket: Object, version: Version, target: Object, name: str) -> None:
        """Makes a version a live object: of the same name or another, in the same bucket or another.

        Args:
            bucket: Where the version is.
            version: The version; it may be the live one.
            target: The bucket of the new object.
            name: Its name.
        """
        kept = self._place(bucket, version.name) / str(version.generation)
        url = self._url(bucket, version.name)
        content = kept.read_bytes() if version.since else httpx.get(url, params={"alt": "media"}).content
        self.keep(target, name)
        described = {"name": name, "contentType": version.content_type, "metadata": version.metadata}
        boundary = hashlib.sha256(content).hexdigest()
        head = f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{json.dumps(described)}\r\n--{boundary}\r\n"
        body = f"{head}Content-Type: {version.content_type}\r\n\r\n".encode() + content + f"\r\n--{boundary}--".encode()
        httpx.post(
            f"{self._store.origin}/upload/storage/v1/b/{text(target, 'name')}/o",
            params={"uploadType": "multipart", "name": name},
            headers={"Content-Type": f"multipart/related; boundary={boundary}"},
            content=body,
        ).raise_for_status()

    def check_empty(self, bucket: Object) -> None:
        """Refuses a bucket that holds noncurrent versions.

        Raises:
            Refused: as Google does.
        """
        if bucket.get("force_destroy") is not True and self.noncurrent(bucket):
            message = f"Error 409: the bucket you tried to delete is not empty: {text(bucket, 'name')}"
            remedy = "It holds noncurrent versions: delete them first, or set force_destroy to true and apply."
            raise Refused(Problem(message, remedy))

    def forget(self, bucket: Object) -> None:
        """Removes all versions of a bucket that is gone."""
        shutil.rmtree(self._folder / text(bucket, "name"), ignore_errors=True)

    def _kept(self, bucket: Object) -> Iterator[Version]:
        paths = (self._folder / text(bucket, "name")).glob("*/*.json")
        found = [Version(**json.loads(path.read_text())) for path in paths]
        alive = {(version.name, version.generation) for version in (self.live(bucket) if found else [])}
        for version in sorted(found, key=lambda version: (version.name, version.generation)):
            if (version.name, version.generation) not in alive:  # else the change did not come about
                yield version

    def _live(self, bucket: Object, name: str) -> Version | None:
        answer = httpx.get(self._url(bucket, name))
        if answer.status_code == _NOT_FOUND:
            return None
        return _version(answer.raise_for_status().json())

    def _place(self, bucket: Object, name: str) -> Path:
        return self._folder / text(bucket, "name") / hashlib.sha256(name.encode()).hexdigest()

    def _url(self, bucket: Object, name: str) -> str:
        return f"{self._store.origin}/storage/v1/b/{text(bucket, 'name')}/o/{quote(name, safe='')}"


def _version(item: dict[str, object]) -> Version:
    noted = item.get("metadata")
    return Version(
        name=str(item["name"]),
        generation=int(str(item["generation"])),
        content_type=str(item.get("contentType", "")),
        metadata={str(key): str(value) for key, value in noted.items()} if isinstance(noted, dict) else {},  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
    )


def _versioned(bucket: Object) -> bool:
    return at(bucket, "versioning", 0, "enabled") is True


def _soft_delete_s(bucket: Object) -> float:
    seconds = at(bucket, "soft_delete_policy", 0, "retention_duration_seconds")
    return seconds if isinstance(seconds, int | float) else _SOFT_DELETE_S


def _noncurrent_until(bucket: Object, version: Version) -> float:
    """When a version stops to be one; at once where there are none."""
    if not _versioned(bucket):
        return version.since
    days = [
        days
        for rule in objects(bucket, "lifecycle_rule")
        if text(rule, "action", 0, "type") == "Delete"
        and isinstance(days := at(rule, "condition", 0, "days_since_noncurrent_time"), int | float)
        and days
    ]
    return version.since + min(days) * _DAY_S if days else float("inf")
