"""Unpacks a body with a limit. MLflow unpacks without: one of 1 MiB may become a gigabyte."""

import gzip
import io
import zlib
from collections.abc import Callable

from mlflow_cloudrun.limits import LimitError, readable


def _gzip(body: bytes, limit: int) -> bytes:
    """Reads all members, as RFC 1952 has it."""
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
        return file.read(limit + 1)


def _deflate(body: bytes, limit: int) -> bytes:
    """Reads zlib's format, which HTTP means by deflate, or the bare one, which some clients send, as MLflow does."""
    try:
        return _inflate(body, limit, zlib.MAX_WBITS)
    except zlib.error:
        return _inflate(body, limit, -zlib.MAX_WBITS)


def _inflate(body: bytes, limit: int, window_bits: int) -> bytes:
    unpacker = zlib.decompressobj(window_bits)
    unpacked = unpacker.decompress(body, limit + 1)
    if not unpacker.eof and len(unpacked) <= limit:
        raise zlib.error("incomplete")
    return unpacked


UNPACK: dict[str, Callable[[bytes, int], bytes]] = {"gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate}


def codings(header: str) -> list[str]:
    """Returns the codings of Content-Encoding in the order in which they were applied, without `identity`."""
    named = (coding.strip().lower() for coding in header.split(","))
    return [coding for coding in named if coding not in ("", "identity")]


def check(applied: list[str], *, packed: bool) -> None:
    """Refuses what will not be unpacked, before anything is read.

    Args:
        applied: The codings of the request.
        packed: Whether this route takes packed bodies.
    """
    known = ", ".join(UNPACK)
    if applied and not packed:
        raise LimitError(415, "This route takes no Content-Encoding. Send the body as it is.")
    if len(applied) > 1 or not UNPACK.keys() >= set(applied):
        message = f"Content-Encoding {', '.join(applied)} is not supported. Use one of {known}, once, or none."
        raise LimitError(415, message)


def unpack(body: bytes, coding: str, limit: int) -> bytes:
    """Returns the body as it was before it was packed.

    Raises:
        LimitError: It is malformed, or has more than `limit` bytes; not more than that is ever unpacked.
    """
    try:
        unpacked = UNPACK[coding](body, limit)
    except (OSError, EOFError, zlib.error) as error:
        raise LimitError(400, f"Failed to decompress {coding} payload") from error
    if len(unpacked) > limit:
        raise LimitError(413, f"The body unpacks to more than {readable(limit)}, the most that this route takes.")
    return unpacked
