"""Cloud Storage: what whoever has an address may do without a token: go on with an upload, open a signed link."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote
from xml.sax.saxutils import escape

from aiohttp import ClientError, hdrs, web
from yarl import URL

from localcloud.machine.forwarding import forward
from localcloud.machine.signed_links import SIGNATURE, Link, LinkRefused
from localcloud.machine.uploads import CANCELLED, Session, Uploads, check, part_of
from localcloud.services.iam import allows, member_of
from localcloud.services.storage import Bucket, target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aiohttp import ClientSession

    from localcloud.machine.identity import IdentityProvider
    from localcloud.resource import Cloud
    from localcloud.terraform.model import Object

_OBJECT = "/storage/v1/b/{bucket}/o/{object}"
_NOT_FOUND = 404
_RESUME_INCOMPLETE = 308
# What the query of a link may say of the answer: https://cloud.google.com/storage/docs/xml-api/reference-headers#query
_ANSWERED = {"response-content-disposition": "Content-Disposition", "response-content-type": "Content-Type"}


class Objects(Protocol):
    """What holds the objects.

    Attributes:
        origin: Where it is.
        uploads: The folder of what is being uploaded.
    """

    origin: str
    uploads: Path


class Direct:
    """Answers to them.

    Args:
        cloud: Which buckets there are, and who may do what with them.
        identity: Whose signatures count.
        store: What holds the objects.
        keep: Told of the bucket and the name of an object that is about to be replaced.
        client: Returns what to ask the object store with, in answer to a request.
    """

    def __init__(
        self,
        cloud: Cloud,
        identity: IdentityProvider,
        store: Objects,
        keep: Callable[[Object, str], None],
        client: Callable[[web.Request], ClientSession],
    ) -> None:
        self._cloud, self._identity, self._store, self._keep, self._client = cloud, identity, store, keep, client
        self._uploads = Uploads(store.uploads)

    def begin(self, request: web.Request, name: str, body: bytes) -> web.Response:
        """Begins an upload, for somebody who may; the answer's address is the session."""
        bucket, size = request.match_info["bucket"], request.headers.get("X-Upload-Content-Length", "")
        described: dict[str, Any] = json.loads(body or b"{}")
        if kind := request.headers.get("X-Upload-Content-Type"):
            described.setdefault("contentType", kind)
        conditions = {key: value for key, value in request.query.items() if key.startswith("if")}
        session = Session(
            bucket=bucket,
            name=name,
            described=described,
            conditions=conditions,
            size=int(size) if size.isdecimal() else None,
        )
        query = {"uploadType": "resumable", "upload_id": self._uploads.begin(session)}
        address = URL(f"{request.scheme}://{request.host}{request.path}").with_query(query)
        return web.Response(headers={hdrs.LOCATION: str(address)})

    async def go_on(self, request: web.Request) -> web.Response:
        """Takes more of an upload, or says how much of it is there."""
        bucket, id_ = request.match_info["bucket"], request.query.get("upload_id", "")
        async with self._uploads.turn(id_):
            session = self._uploads.find(bucket, id_)
            if request.method == hdrs.METH_DELETE:
                self._uploads.end(id_)
                return web.Response(status=CANCELLED)
            whole = await self._uploads.receive(id_, part_of(request, session), request.content.iter_any())
            if whole:
                try:
                    return web.json_response(await self._store_whole(session, id_, request))
                except ClientError as error:
                    raise web.HTTPServiceUnavailable(text="The object store does not answer.") from error
                finally:
                    self._uploads.end(id_)
            there = self._uploads.content(id_).stat().st_size
            headers = {"Range": f"bytes=0-{there - 1}"} if there else {}
            return web.Response(status=_RESUME_INCOMPLETE, headers=headers)

    async def _store_whole(self, session: Session, id_: str, request: web.Request) -> object:
        content, described, client = self._uploads.content(id_), session.described, self._client(request)
        await asyncio.to_thread(check, content, session, request.headers.get("X-Goog-Hash", ""))
        if bucket := self._cloud.store.get(Bucket.type, session.bucket):
            await asyncio.to_thread(self._keep, bucket, session.name)
        address = f"{self._store.origin}/upload/storage/v1/b/{session.bucket}/o"
        query = {"uploadType": "media", "name": session.name, **session.conditions}
        kind = str(described.get("contentType") or request.headers.get(hdrs.CONTENT_TYPE) or "application/octet-stream")
        with content.open("rb") as file:
            async with client.post(
                URL(address).with_query(query), data=file, headers={hdrs.CONTENT_TYPE: kind}
            ) as answer:
                if not answer.ok:
                    raise web.HTTPPreconditionFailed(text=await answer.text())
                stored = await answer.json()
        # What a header cannot say of it, or not in this case of letters.
        if more := {name: value for name, value in described.items() if name in {"metadata", "cacheControl"}}:
            async with client.patch(self._address(session.bucket, session.name), json=more) as answer:
                stored = await answer.json()
        return stored

    def _address(self, bucket: str, name: str) -> URL:
        path = _OBJECT.format(bucket=quote(bucket, safe=""), object=quote(name, safe=""))
        return URL(f"{self._store.origin}{path}", encoded=True)

    async def open(self, request: web.Request) -> web.StreamResponse:
        """Answers to a signed link with its object."""
        if SIGNATURE not in request.query:
            raise web.HTTPNotFound(text="Of the XML API there are only signed links here.")
        try:
            return await self._opened(request, self._client(request))
        except LinkRefused as refused:
            details = f"<Details>{escape(refused.details)}</Details>" if refused.details else ""
            text = (
                "<?xml version='1.0' encoding='UTF-8'?>"
                f"<Error><Code>{refused.code}</Code><Message>{escape(refused.message)}</Message>{details}</Error>"
            )
            return web.Response(status=refused.status, text=text, content_type="application/xml")

    async def _opened(self, request: web.Request, client: ClientSession) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        link = Link(method=request.method, path=path, query=query, headers=headers)
        email = link.signer(self._identity.account_keys.has_signed, datetime.now(UTC))
        name = request.match_info["object"]
        bucket = self._cloud.store.get(Bucket.type, request.match_info["bucket"])
        if bucket is None:
            raise LinkRefused(_NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist.")
        if not allows(self._cloud, member_of(email), "storage.objects.get", target(bucket)):
            details = f"{email} does not have storage.objects.get access to the Google Cloud Storage object."
            raise LinkRefused(403, "AccessDenied", "Access denied.", details)
        address = self._address(request.match_info["bucket"], name)
        generation = {key: value for key, value in request.query.items() if key == "generation"}
        async with client.get(address.update_query(generation)) as answer:
            if not answer.ok:
                raise LinkRefused(_NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
            stored = await answer.json()
        said = {header: request.query[key] for key, header in _ANSWERED.items() if key in request.query}
        said["X-Goog-Generation"] = str(stored["generation"])
        said["X-Goog-Hash"] = f"crc32c={stored['crc32c']},md5={stored['md5Hash']}"
        media = address.update_query({"alt": "media", **generation})
        return await forward(request, client, media, answered=said)
