"""`gcloud storage`: versions of objects, and soft-deleted ones.

https://cloud.google.com/sdk/gcloud/reference/storage
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from localcloud.commands.commands import Command, Unknown
from localcloud.services.storage import Bucket
from localcloud.terraform.model import Object, Problem, Refused

if TYPE_CHECKING:
    from localcloud.commands.commands import Call
    from localcloud.machine.object_versions import Version


class _Place(NamedTuple):
    """The parts of a URL: a bucket, an object or a prefix in it, and a generation (0: none)."""

    bucket: Object
    path: str
    generation: int


def _place(call: Call, url: str) -> _Place:
    found = re.fullmatch(r"gs://([^/]+)(?:/(.*?))?(?:#(\d+))?", url, re.DOTALL)
    if not found:
        raise Unknown(f"{url}: the local cloud has gs://BUCKET/OBJECT, with or without #GENERATION, alone")
    bucket = call.cloud.store.get(Bucket.type, found[1])
    if not bucket:
        raise Refused(Problem(f"gs://{found[1]} not found: 404."))
    return _Place(bucket, found[2] or "", int(found[3] or 0))


def _list(call: Call) -> None:
    bucket, path, _ = _place(call, call.options.url)
    prefix, everything = path.removesuffix("**"), path.endswith("**")
    if call.options.soft_deleted:
        found = call.machine.versions.soft_deleted(bucket)
    else:
        found = call.machine.versions.live(bucket)
        if call.options.all_versions:
            found = sorted([*found, *call.machine.versions.noncurrent(bucket)], key=lambda it: (it.name, it.generation))
    shown: dict[str, None] = {}
    for version in found:
        if not (version.name == path or version.name.startswith(prefix if everything else _folder(path))):
            continue
        below = "" if everything or version.name == path else version.name.removeprefix(_folder(path))
        folder, slash, _ = below.partition("/")
        generation = f"#{version.generation}" if call.options.soft_deleted or call.options.all_versions else ""
        name = f"{_folder(path)}{folder}/" if slash else f"{version.name}{generation}"
        shown[f"gs://{bucket['name']}/{name}"] = None
    if not shown:
        raise Refused(Problem("One or more URLs matched no objects."))
    call.out += shown


def _folder(path: str) -> str:
    return f"{path.rstrip('/')}/" if path else ""


def _copy(call: Call) -> None:
    bucket, path, generation = _place(call, call.options.source)
    target, name, _ = _place(call, call.options.destination)
    versions = [it for it in call.machine.versions.live(bucket) if it.name == path]
    if generation:
        versions = [
            it
            for it in [*versions, *call.machine.versions.noncurrent(bucket)]
            if (it.name, it.generation) == (path, generation)
        ]
    if not versions:
        raise Refused(Problem(f"The following URLs matched no objects or files: {call.options.source}"))
    name = f"{name}{path.rpartition('/')[2]}" if name.endswith("/") or not name else name
    call.machine.versions.copy(bucket, versions[0], target, name)
    call.told.append(f"Copying {call.options.source} to gs://{target['name']}/{name}")


def _restore(call: Call) -> None:
    for url in call.options.urls:
        bucket, path, generation = _place(call, url)
        newest: dict[str, Version] = {}
        for version in call.machine.versions.soft_deleted(bucket):
            named = version.name.startswith(path.removesuffix("**")) if path.endswith("**") else version.name == path
            if named and generation in {0, version.generation}:
                newest[version.name] = version
        if not newest:
            raise Refused(Problem(f"The following URLs matched no objects or files: {url}"))
        for version in newest.values():
            call.machine.versions.copy(bucket, version, bucket, version.name)
            call.told.append(f"Restoring gs://{bucket['name']}/{version.name}#{version.generation}...")


COMMANDS = {
    "storage cp": Command(run=_copy, positional=["source", "destination"]),
    "storage ls": Command(run=_list, positional=["url"], switches=["all-versions", "soft-deleted"]),
    "storage restore": Command(run=_restore, positional=["urls+"]),
}
