"""Moves one file to or from Cloud Storage by an address that is a secret, and goes on where a connection broke.

No error and no line of a log holds the address: those of requests do, and are replaced.
https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

from __future__ import annotations

import base64
import logging
import os
import random
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import google_crc32c
import requests
from urllib3.exceptions import HTTPError

from mlflow_google.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024
CHUNK = 16 * MIB  # each part is a multiple of 256 KiB, except for the last
PIECE = MIB
PATIENCE_S = 120  # how long nothing moves until it is given up
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 16
TIMEOUT_S = (10, 60)  # to connect, and until something comes
SESSIONS = 3
RESUME_INCOMPLETE, PARTIAL_CONTENT = 308, 206
GONE = (404, 410)
PASSING = (408, 429, 500, 502, 503, 504)
logger = logging.getLogger("mlflow_google")


class SessionGoneError(Exception):
    """The session is over; another one may be had."""


class PassingError(Exception):
    """Nothing came of it, and asking again may help."""


class Checksum:
    """The CRC32C of a file of which some may be read more than once.

    Attributes:
        size: How many bytes of the file are in it.
    """

    def __init__(self) -> None:
        self._sum: Any = google_crc32c.Checksum()
        self.size = 0

    def add(self, start: int, content: bytes) -> None:
        """Adds what is new of a part of the file."""
        new = content[self.size - start :]
        self._sum.update(new)
        self.size += len(new)

    @property
    def text(self) -> str:
        """The checksum as Cloud Storage writes it."""
        return base64.b64encode(self._sum.digest()).decode()


@dataclass
class Patience:
    """Waits with growing pauses, and gives up when nothing has moved for long.

    Attributes:
        what: What is moved, for a person.
        total: How many bytes it has; 0 if that is not known.
    """

    what: str
    total: int = 0
    _until: float = field(default_factory=lambda: time.monotonic() + PATIENCE_S)
    _tries: int = 0

    def moved(self) -> None:
        """Waits for short again: something has moved."""
        self._until, self._tries = time.monotonic() + PATIENCE_S, 0

    def wait(self, there: int, why: str) -> None:
        """Waits for the next try.

        Raises:
            TransferError: It is time to give up.
        """
        pause = random.uniform(0.5, 1) * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**self._tries)  # noqa: S311
        where = f"{self.what} broke off at byte {there}{f' of {self.total}' if self.total else ''} ({why})"
        if time.monotonic() + pause > self._until:
            raise TransferError(f"{where}, and nothing has moved for {PATIENCE_S} s") from None
        logger.warning("%s; it goes on from there", where)
        self._tries += 1
        time.sleep(pause)


def upload(path: str, session: Callable[[], str]) -> None:
    """Uploads a file.

    Args:
        path: The file.
        session: Returns the address of a new upload.

    Raises:
        TransferError: It did not arrive, or not as it is.
    """
    with Path(path).open("rb") as file, requests.Session() as http:
        upload = Upload(file, os.fstat(file.fileno()).st_size, http)
        for _ in range(SESSIONS):
            try:
                upload.send(session())
            except SessionGoneError:
                continue
            return
    raise TransferError(f"the upload of {path} was ended by Cloud Storage, {SESSIONS} times")


class Upload:
    """A file on its way up."""

    def __init__(self, file: IO[bytes], total: int, http: requests.Session) -> None:
        self._file, self._total, self._http = file, total, http
        self._checksum = Checksum()
        self._patience = Patience(f"the upload of {file.name}", total)

    def send(self, url: str) -> None:
        """Sends all of it, part by part.

        Raises:
            SessionGoneError: The session is over.
            TransferError: It did not arrive, or not as it is.
        """
        there, asking = 0, False
        while True:
            try:
                answer = self._put(url, there, ask=asking)
            except PassingError as error:
                self._patience.wait(there, str(error))
                asking = True  # how much has arrived
                continue
            if answer.ok and answer.status_code != RESUME_INCOMPLETE:
                self._compare(answer)
                return
            arrived = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("Range", ""))
            before, there, content_sent, asking = there, int(arrived[1]) + 1 if arrived else 0, not asking, False
            if there > before:
                self._patience.moved()
            elif content_sent:
                self._patience.wait(there, "nothing was kept")

    def _put(self, url: str, there: int, *, ask: bool) -> requests.Response:
        """Sends a part from a byte on, or asks how much there is; returns an answer that says so."""
        content = b"" if ask else self._read(there)
        span = f"{there}-{there + len(content) - 1}" if content else "*"
        headers = {"Content-Range": f"bytes {span}/{self._total}"}
        if not ask and there + len(content) == self._total:
            headers["X-Goog-Hash"] = f"crc32c={self._checksum.text}"
        answer = asked(self._http, "PUT", url, data=content, headers=headers)
        if answer.status_code in GONE:
            raise SessionGoneError
        if answer.ok or answer.status_code == RESUME_INCOMPLETE:
            return answer
        raise refused(self._file.name, answer)

    def _read(self, there: int) -> bytes:
        self._file.seek(there)
        content = self._file.read(min(CHUNK, self._total - there))
        if len(content) < min(CHUNK, self._total - there):
            raise TransferError(f"{self._file.name} became shorter while it was uploaded")
        self._checksum.add(there, content)
        return content

    def _compare(self, answer: requests.Response) -> None:
        while self._checksum.size < self._total:
            self._read(self._checksum.size)
        stored = answer.json().get("crc32c")
        if stored != self._checksum.text:
            raise TransferError(
                f"{self._file.name} did not arrive as it is: CRC32C {stored} instead of {self._checksum.text}; upload"
                " it again"
            )


def download(path: str, ask: Callable[[int], requests.Response]) -> None:
    """Downloads a file.

    Args:
        path: Where to.
        ask: Returns the answer whose content is the file from a byte on.

    Raises:
        TransferError: It did not arrive, or not as it is.
    """
    patience, version = Patience(f"the download of {Path(path).name}"), ""
    with Path(path).open("wb") as file:
        checksum = Checksum()
        while True:
            try:
                with ask(checksum.size) as answer:
                    found = answer.headers.get("X-Goog-Generation") or answer.headers.get("ETag", "")
                    if checksum.size and (answer.status_code != PARTIAL_CONTENT or found != version):
                        checksum = Checksum()  # another file by now
                        file.seek(0)
                        file.truncate()
                        if answer.status_code == PARTIAL_CONTENT:
                            continue
                    version = found
                    for piece in pieces(answer):
                        file.write(piece)
                        checksum.add(checksum.size, piece)
                        patience.moved()
            except PassingError as error:
                patience.wait(checksum.size, str(error))
                continue
            break
    said = re.search(r"crc32c=([A-Za-z0-9+/=]+)", answer.headers.get("X-Goog-Hash", ""))
    if not said or said[1] != checksum.text:
        stored = said[1] if said else "one that was told"
        raise TransferError(f"{path} did not arrive as it is: CRC32C {checksum.text} instead of {stored}")


def pieces(answer: requests.Response) -> Any:  # noqa: ANN401  a generator of bytes
    """Yields the content as it is stored."""
    try:
        yield from answer.raw.stream(PIECE, decode_content=False)
    except (HTTPError, OSError) as error:
        raise PassingError(type(error).__name__) from None


def get(url: str, headers: dict[str, str]) -> requests.Response:
    """Opens a link.

    Raises:
        PassingError: It may open the next time.
        TransferError: It does not.
    """
    # Compressed, where it is stored so: Cloud Storage must not change what is checked.
    answer = asked(requests, "GET", url, headers={"Accept-Encoding": "gzip", **headers}, stream=True)
    if answer.ok:
        return answer
    raise refused("the file", answer)


def asked(http: Any, method: str, url: str, **options: Any) -> requests.Response:  # noqa: ANN401  a session, or requests
    """Asks Cloud Storage, without a credential.

    Raises:
        PassingError: There was no answer.
    """
    try:
        return http.request(method, url, timeout=TIMEOUT_S, allow_redirects=False, auth=as_it_is, **options)
    except (requests.RequestException, HTTPError, OSError) as error:
        raise PassingError(type(error).__name__) from None


def as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Adds nothing to a request: without it, requests takes a password out of ~/.netrc."""
    return request


def refused(what: str, answer: requests.Response) -> Exception:
    """Returns what to raise for an answer of Cloud Storage that is none."""
    said = " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())[:400]
    if answer.status_code in PASSING or "ExpiredToken" in said:
        return PassingError(str(answer.status_code))
    return TransferError(f"Cloud Storage refused {what}: {answer.status_code} {said}")
