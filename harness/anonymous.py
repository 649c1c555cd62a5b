"""Requests without a credential that might bring the service down.

`python -m harness.anonymous` prints what comes of each at 1, 40 and 80 at a time.
"""

import gzip
from collections.abc import Mapping

from containers.engine import Engine
from harness import local
from harness.attackers import MIB, Request, chunk, head, post, table
from harness.service import SEARCH

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# Well-formed, and nobody's: it is looked at, and refused.
FORGED = {"Authorization": "Bearer eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmVk"}
PIECE = b"a" * (MIB // 4)
FIELDS = b"".join(b"k%d=&" % number for number in range(30_000))
GOOD = head("GET", "/", {})
PACKED = gzip.compress(bytes(MIB)) * 100  # a stream may have many members


def form(mib: int, headers: Mapping[str, str] | None = None, *, path: str = "/", stops: bool = False) -> Request:
    """A form of so many MiB; one that stops has no last piece."""
    return Request(
        head=post(path, headers={**FORM, **(headers or {})}, length=mib * MIB),
        piece=PIECE,
        pieces=4 * mib - int(stops),
        patience_s=8,
    )


ANONYMOUS: dict[str, Request] = {
    "a form of 10 MiB": form(10),
    "a form of 10 MiB that stops before its end": form(10, stops=True),
    "a form of 10 MiB with a forged token": form(10, FORGED),
    "a form of 10 MiB with a forged cookie": form(10, {"Cookie": "__Host-mlflow=forged"}),
    "a form of 10 MiB to the sign-in's callback": form(10, path="/oauth2/callback"),
    "a form of 10 MiB to the sign-out": form(10, path="/oauth2/sign_out"),
    "a form of 10 MiB to the API": form(10, path="/api/2.0/mlflow/runs/create"),
    "a form of 2 million fields": Request(
        head=post("/", headers=FORM, length=len(FIELDS) * 30), piece=FIELDS, pieces=30, patience_s=8
    ),
    "a form in chunks, without an end": Request(
        head=post("/", headers=FORM), piece=chunk(PIECE), pieces=128, patience_s=8
    ),
    "a form with Expect": form(10, {"Expect": "100-continue"}),
    "a form by HTTP/1.0": Request(
        head=post("/", headers=FORM, length=10 * MIB, version="1.0"), piece=PIECE, pieces=40, patience_s=8
    ),
    "a form that was packed from 100 MiB": Request(
        head=post("/", headers=FORM | {"Content-Encoding": "gzip"}, length=len(PACKED)), piece=PACKED, pieces=1
    ),
    "a form of 30 MiB in parts": Request(
        head=post("/", headers={"Content-Type": "multipart/form-data; boundary=x"}, length=30 * MIB),
        piece=PIECE,
        pieces=120,
    ),
    "JSON of 30 MiB to the API": Request(
        head=post("/api/2.0/mlflow/runs/create", headers={"Content-Type": "application/json"}, length=30 * MIB),
        piece=PIECE,
        pieces=120,
    ),
    "JSON of 30 MiB with a forged token": Request(
        head=post("/api/2.0/mlflow/runs/create", headers=FORGED, length=30 * MIB), piece=PIECE, pieces=120
    ),
    "a body of 1 GiB by its length": Request(head=post("/", length=1024 * MIB), piece=PIECE, pieces=128, patience_s=8),
    "a body that comes byte by byte": Request(
        head=post("/", headers=FORM, length=MIB), piece=b"a", pieces=20, pause_s=0.1, patience_s=2
    ),
    "headers that never end": Request(
        head=b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", piece=b"X-A: b\r\n", pieces=20, pause_s=0.1, patience_s=2
    ),
    "a header of 1 MiB": Request(head=head("GET", "/", {"X-Long": "a" * MIB})),
    "5,000 headers": Request(head=head("GET", "/", {f"X-{number}": "a" for number in range(5000)})),
    "a cookie of 30 KiB": Request(head=head("GET", "/", {"Cookie": "__Host-mlflow=" + "a" * 30 * 1024})),
    "5,000 cookies": Request(head=head("GET", "/", {"Cookie": "; ".join(f"c{n}=1" for n in range(5000))})),
    "an address of 1 MiB": Request(head=head("GET", "/?" + "a" * MIB, {})),
    "an address of 15 KiB to return to": Request(head=head("GET", "/oauth2/start?rd=/" + "a" * 15 * 1024, {})),
    "a token of 30 KiB": Request(head=head("GET", SEARCH, {"Authorization": f"Bearer eyJ.eyJ{'a' * 30 * 1024}.x"})),
    "1,000 requests in one go": Request(head=GOOD * 1000),
    "a web socket": Request(
        head=head(
            "GET",
            "/",
            {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Key": "dGVzdA==",
                "Sec-WebSocket-Version": "13",
            },
        )
    ),
    "two framings": Request(
        head=head("POST", "/", {"Content-Length": "4", "Transfer-Encoding": "chunked"}),
        piece=b"0\r\n\r\n" + GOOD,
        pieces=1,
    ),
    "two lengths": Request(
        head=b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nabcd" + GOOD
    ),
    "an unknown framing": Request(
        head=head("POST", "/", {"Transfer-Encoding": "identity, chunked"}), piece=chunk(PIECE), pieces=4
    ),
    "HTTP/2 without being asked": Request(head=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 1000),
    "no HTTP at all": Request(head=bytes(range(256)) * 400),
    "a connection to elsewhere": Request(head=head("CONNECT", "metadata.google.internal:80", {})),
}


def main() -> None:
    """Attacks without a credential."""
    with local.platform(Engine()) as platform:
        table(platform, ANONYMOUS)


if __name__ == "__main__":
    main()
