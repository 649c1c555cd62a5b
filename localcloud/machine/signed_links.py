"""Cloud Storage: links that open one object for some time to whoever has them, signed in the V4 form.

https://cloud.google.com/storage/docs/authentication/canonical-requests. Left out: the older form (V2), HMAC keys,
policy documents, and links whose time begins in the future.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    HasSigned = Callable[[str, bytes, bytes], bool]

ALGORITHM = "GOOG4-RSA-SHA256"
LONGEST_S = 604_800
SIGNATURE = "X-Goog-Signature"
_FORBIDDEN, _BAD_REQUEST = 403, 400
_STAMP = "%Y%m%dT%H%M%SZ"
_FIELDS = ("X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Date", "X-Goog-Expires", "X-Goog-SignedHeaders", SIGNATURE)


class LinkRefused(Exception):  # noqa: N818 - what happened
    """A link that opens nothing.

    Attributes:
        status: The answer's.
        code: Google's word for it: https://cloud.google.com/storage/docs/xml-api/reference-status.
        message: What is wrong.
        details: More of it.
    """

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A request as it came, whose query is signed.

    Attributes:
        method: Its method.
        path: Its path, encoded.
        query: Its query, encoded.
        headers: Its headers, by names in lower case.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]

    def signer(self, has_signed: HasSigned, now: datetime) -> str:
        """Returns the address of the account that signed it.

        Args:
            has_signed: Whether an account, by its address, has signed a text.
            now: The time.

        Raises:
            LinkRefused: Nobody has, or not for now.
        """
        pairs = parse_qsl(self.query, keep_blank_values=True)
        fields = dict(pairs)
        missing = [name for name in _FIELDS if not fields.get(name)]
        if missing:
            raise _malformed(f"Missing {missing[0]}")
        email, _, scope = fields["X-Goog-Credential"].partition("/")
        begins, ends = _period(fields)
        signed_headers = fields["X-Goog-SignedHeaders"].split(";")
        if fields["X-Goog-Algorithm"] != ALGORITHM or not re.fullmatch(
            rf"{begins:%Y%m%d}/[a-z0-9-]+/storage/goog4_request", scope
        ):
            raise _malformed("Invalid X-Goog-Algorithm or X-Goog-Credential")
        if "host" not in signed_headers or any(name not in self.headers for name in signed_headers):
            raise _malformed("The headers that X-Goog-SignedHeaders names must be there, host among them")
        text = self._to_sign([pair for pair in pairs if pair[0] != SIGNATURE], signed_headers, begins, scope)
        try:
            signature = bytes.fromhex(fields[SIGNATURE])
        except ValueError as error:
            raise _malformed("Invalid X-Goog-Signature") from error
        if not has_signed(email, text.encode(), signature):
            raise LinkRefused(
                _FORBIDDEN,
                "SignatureDoesNotMatch",
                "Access denied.",
                "The request signature we calculated does not match the signature you provided. Check your Google "
                "secret key and signing method.",
            )
        if now >= ends:
            details = f"The provided token has expired. Request signature expired at: {ends.isoformat()}"
            raise LinkRefused(_BAD_REQUEST, "ExpiredToken", "Invalid argument.", details)
        return email

    def canonical(self, query: list[tuple[str, str]], signed_headers: list[str]) -> str:
        """Returns the canonical request: what the signer's and this server's reading of it have in common."""
        encoded = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in query)
        headers = [f"{name}:{' '.join(self.headers[name].split())}\n" for name in signed_headers]
        return "\n".join(
            [
                self.method,
                quote(unquote(self.path), safe="/~"),
                "&".join(f"{name}={value}" for name, value in encoded),
                "".join(headers),
                ";".join(signed_headers),
                self.headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD"),
            ]
        )

    def _to_sign(self, query: list[tuple[str, str]], signed_headers: list[str], begins: datetime, scope: str) -> str:
        digest = hashlib.sha256(self.canonical(query, signed_headers).encode()).hexdigest()
        return "\n".join([ALGORITHM, begins.strftime(_STAMP), scope, digest])


def _period(fields: Mapping[str, str]) -> tuple[datetime, datetime]:
    try:
        begins = datetime.strptime(fields["X-Goog-Date"], _STAMP).replace(tzinfo=UTC)
        seconds = int(fields["X-Goog-Expires"])
    except ValueError as error:
        raise _malformed("Invalid X-Goog-Date or X-Goog-Expires") from error
    if not 1 <= seconds <= LONGEST_S:
        raise _malformed("Invalid X-Goog-Expires: 1 to 604800 seconds")
    return begins, begins + timedelta(seconds=seconds)


def _malformed(details: str) -> LinkRefused:
    return LinkRefused(_BAD_REQUEST, "AuthenticationRequired", "Authentication required.", details)
