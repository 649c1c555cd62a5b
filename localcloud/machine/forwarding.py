"""Hands a request on to another HTTP server, and its answer back, piece by piece as they come.

What a proxy must change it changes, and nothing else: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1. Left out:
protocol upgrades (WebSocket), trailers, interim answers.
"""

from __future__ import annotations

from asyncio import CancelledError
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, hdrs, web
from multidict import CIMultiDict
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from multidict import CIMultiDictProxy

CONNECT_TIMEOUT_S = 5
LINE_LIMIT = 256 * 1024  # bytes of a header line, either way; the rest is for the servers to refuse
PIECE = 256 * 1024
# Those of RFC 9110, and what the server of this process has answered already (Expect) or will never send (Trailer).
_OF_ONE_CONNECTION = {
    "connection",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",  # codespell:ignore te
    "trailer",
    "transfer-encoding",
    "upgrade",
}
# The client must not add what the caller did not say.
_NOT_ADDED = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT)


class AnswerTooLarge(Exception):  # noqa: N818 - what happened
    """The other server's answer states more bytes than may pass."""


def client() -> ClientSession:
    """The client to forward with: no cookies of its own, no decompression, no limit but on connecting."""
    return ClientSession(
        auto_decompress=False,
        connector=TCPConnector(limit=0),
        cookie_jar=DummyCookieJar(),
        max_field_size=LINE_LIMIT,
        max_line_size=LINE_LIMIT,
        read_bufsize=PIECE,
        skip_auto_headers=_NOT_ADDED,
        timeout=ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
    )


def same_path(request: web.Request, origin: str) -> URL:
    """The URL of a request's path and query at another server, byte for byte.

    Args:
        request: what came.
        origin: the other server, `http://HOST:PORT`.

    Raises:
        web.HTTPBadRequest: the request names no path; joined to an origin, anything else could name another host.
    """
    if not request.raw_path.startswith("/"):
        raise web.HTTPBadRequest(text="only paths can be requested here")
    return URL(f"{origin}{request.raw_path}", encoded=True)


async def forward(  # noqa: PLR0913 - two of them are what is asked, the others are named
    request: web.Request,
    session: ClientSession,
    target: URL,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | AsyncIterator[bytes] | None = None,
    largest_answer: int | None = None,
    answered: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Sends a request on and streams the answer to who asked.

    When the other server, or a timeout of the caller, stops in the middle of an answer, the connection to the client
    ends there too, so that half an answer never looks like a whole one; what the caller answers then goes nowhere. When
    the client goes away, so does the connection to the other server (in a server with `handler_cancellation`).

    Args:
        request: what came.
        session: made by `client`.
        target: where to send it; `same_path` makes it of the origin alone.
        headers: sent in place of the request's own of these names.
        body: sent in place of the request's own.
        largest_answer: so many bytes, headers included, may an answer have that states its length; None for any.
        answered: sent to who asked in place of the answer's own headers of these names.

    Raises:
        AnswerTooLarge: it has more; nothing has been sent to the client yet.
        aiohttp.ClientError: the other server gave no answer; nothing has been sent to the client yet.
        TimeoutError: it could not be connected to in time; likewise.
    """
    sent = _end_to_end(request.headers)
    sent[hdrs.HOST] = request.headers.get(hdrs.HOST, "")
    if body is not None:
        sent.popall(hdrs.CONTENT_LENGTH, None)
    for name, value in (headers or {}).items():
        sent[name] = value
    data = body if body is not None else request.content if request.can_read_body else None
    async with session.request(request.method, target, headers=sent, data=data, allow_redirects=False) as answer:
        if largest_answer is not None and _stated_bytes(answer) > largest_answer:
            raise AnswerTooLarge
        headers = _end_to_end(answer.headers)
        headers.update(answered or {})
        if answer.content.is_eof():  # a short answer is here whole, and leaves in one write with its headers
            body = answer.content.read_nowait()
            return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=body)
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
        await response.prepare(request)
        try:
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
        except (ClientError, CancelledError) as error:
            if request.transport:
                request.transport.abort()
            if isinstance(error, CancelledError):
                raise
        return response


def _stated_bytes(answer: ClientResponse) -> int:
    """How many bytes an answer says that it has; 0 if it says nothing, or has no body."""
    if answer.content_length is None or answer.method == hdrs.METH_HEAD:
        return 0
    return answer.content_length + sum(len(name) + len(value) + 4 for name, value in answer.raw_headers)


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """A copy without what concerns one connection only."""
    named = {name.strip().lower() for line in headers.getall(hdrs.CONNECTION, ()) for name in line.split(",")}
    dropped = _OF_ONE_CONNECTION | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)
