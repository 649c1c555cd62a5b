"""Cloud Storage: uploads that can be resumed. Whoever has a session's address may upload its one object.

https://cloud.google.com/storage/docs/resumable-uploads and
https://cloud.google.com/storage/docs/performing-resumable-uploads. The emulator takes a question about an upload
for its end, and forgets what came before a connection broke: sessions are kept here, and it gets whole objects. Left
out: the XML API's, and that a page of another origin may be named.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import google_crc32c
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

UNIT = 256 * 1024
"""Bytes of which a part that is not the last must be a multiple, and of which a broken one leaves whole ones."""
LIFETIME_S = 7 * 24 * 60 * 60
CANCELLED = 499  # https://cloud.google.com/storage/docs/performing-resumable-uploads#cancel-upload
_RANGE = re.compile(r"bytes (?:(?P<first>\d+)-(?P<last>\d+)|\*)/(?P<total>\d+|\*)")
_ID = re.compile(r"[\w-]+")
_PIECE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Session:
    """An upload that has begun.

    Attributes:
        bucket: The bucket's name.
        name: The object's.
        described: What was said of the object at the beginning, as the JSON API names it.
        conditions: On the object that is there, as the query named them.
        size: How many bytes there will be; None if nobody said.
        begun: When, in seconds since the epoch.
    """

    bucket: str
    name: str
    described: dict[str, Any]
    conditions: dict[str, str]
    size: int | None
    begun: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Part:
    """What a request sends of an object.

    Attributes:
        first: The number of its first byte; None for a question how much is there.
        size: How many bytes it has; None if it does not say.
        total: How many bytes the object has; None if it does not say.
    """

    first: int | None
    size: int | None
    total: int | None


class Uploads:
    """The sessions of all buckets.

    Args:
        folder: Where they are kept; nothing else is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # The next request of a session waits until a broken one has left what it had.
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def begin(self, session: Session) -> str:
        """Begins an upload; returns the id that stands for it, and for the permission."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        id_ = secrets.token_urlsafe(96)
        self.content(id_).touch(mode=0o600)
        self._notes(id_).write_text(json.dumps(asdict(session)))
        return id_

    def find(self, bucket: str, id_: str) -> Session:
        """Returns a session.

        Raises:
            web.HTTPNotFound: There is none in this bucket, or it is over.
        """
        if not _ID.fullmatch(id_) or not self._notes(id_).exists():
            raise web.HTTPNotFound(text="Not Found")
        session = Session(**json.loads(self._notes(id_).read_text()))
        if session.bucket != bucket or time.time() > session.begun + LIFETIME_S:
            raise web.HTTPNotFound(text="Not Found")
        return session

    def turn(self, id_: str) -> asyncio.Lock:
        """Returns what a request holds while it works on a session."""
        return self._turns[id_]

    def content(self, id_: str) -> Path:
        """Returns the file of what has come so far."""
        return self._folder / id_

    def end(self, id_: str) -> None:
        """Forgets a session."""
        self._notes(id_).unlink(missing_ok=True)
        self.content(id_).unlink(missing_ok=True)
        self._turns.pop(id_, None)

    def _notes(self, id_: str) -> Path:
        return self._folder / f"{id_}.json"

    async def receive(self, id_: str, part: Part, pieces: AsyncIterator[bytes]) -> bool:
        """Takes some of an object; what was there already is left out.

        Returns:
            Whether the object is whole.

        Raises:
            web.HTTPBadRequest: It does not go with what is there.
        """
        content = self.content(id_)
        there = content.stat().st_size
        if part.first is None:
            return part.total == there
        if part.first > there:
            raise web.HTTPBadRequest(
                text=f"Invalid request. According to the Content-Range header, the upload offset is {part.first} "
                f"byte(s), which exceeds already uploaded size of {there} byte(s)."
            )
        whole, skipped, came = False, there - part.first, 0
        try:
            with content.open("ab") as file:
                async for piece in pieces:
                    file.write(piece[max(0, skipped - came) :])
                    came += len(piece)
            if part.size is not None and came != part.size:
                raise web.HTTPBadRequest(text=f"Content-Range says {part.size} bytes, and {came} came.")
            there = content.stat().st_size
            whole = part.total == there or (part.total is None and part.size is None)
            if part.total is not None and there > part.total:
                raise web.HTTPBadRequest(text=f"The object has {part.total} bytes, and {there} came.")
        finally:
            if not whole:
                _cut(content)
        return whole


def part_of(request: web.Request, session: Session) -> Part:
    """Returns what a request sends.

    Raises:
        web.HTTPBadRequest: Its Content-Range cannot be read, or does not go with what the session was begun with.
    """
    header = request.headers.get("Content-Range")
    if header is None:
        return Part(0, None, session.size)
    found = _RANGE.fullmatch(header)
    if not found:
        raise web.HTTPBadRequest(text=f"Invalid Content-Range: {header}")
    first, last, total = found["first"], found["last"], found["total"]
    size = session.size if total == "*" else int(total)
    if session.size not in (None, size):
        raise web.HTTPBadRequest(text=f"The upload was begun for {session.size} bytes, and Content-Range says {total}.")
    return Part(int(first), int(last) - int(first) + 1, size) if first else Part(None, None, size)


def _cut(content: Path) -> None:
    with content.open("r+b") as file:
        file.truncate(content.stat().st_size // UNIT * UNIT)


def check(content: Path, session: Session, hashes: str) -> None:
    """Compares an object with the CRC32C that was said at the beginning or with its last part.

    Raises:
        web.HTTPBadRequest: They differ.
    """
    said = {str(session.described.get("crc32c") or "")} | set(re.findall(r"crc32c=([A-Za-z0-9+/=]+)", hashes))
    checksum: Any = google_crc32c.Checksum()
    with content.open("rb") as file:
        while piece := file.read(_PIECE):
            checksum.update(piece)
    found = base64.b64encode(checksum.digest()).decode()
    if wrong := said - {"", found}:
        raise web.HTTPBadRequest(text=f'Provided CRC32C "{wrong.pop()}" doesn\'t match calculated CRC32C "{found}".')
