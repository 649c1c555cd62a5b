"""The container of these tests: a server that tells what it got, and does what the path says. Run inside the image."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


class Counter:
    """How many requests there are, and the most that there were at a time."""

    now = most = 0
    lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """Tells what it got."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        with Counter.lock:
            Counter.now += 1
            Counter.most = max(Counter.most, Counter.now)
        try:
            self.answer(urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query)))
        finally:
            with Counter.lock:
                Counter.now -= 1

    def do_POST(self) -> None:
        self.do_GET()

    def answer(self, path: str, query: dict[str, str]) -> None:
        size = sum(len(piece) for piece in self.pieces())
        if path == "/begin-and-hang":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.wfile.flush()
        time.sleep(float(query.get("seconds", 0)))
        busy_until = time.monotonic() + float(query.get("busy", 0))
        while time.monotonic() < busy_until:
            pass
        if path == "/large":
            self.send_large(int(query["bytes"]), chunked="chunked" in query)
            return
        body = json.dumps(
            {
                "revision": os.environ["K_REVISION"],
                "instance": os.environ["HOSTNAME"],
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "bytes": size,
                "most": Counter.most,
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_large(self, size: int, *, chunked: bool) -> None:
        """Answers with so many bytes, headers included where they state the length."""
        head = b"HTTP/1.1 200 OK\r\nA: %s\r\n"
        if chunked:
            self.wfile.write(
                head % b"b" + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + bytes(size) + b"\r\n0\r\n\r\n"
            )
            return
        self.wfile.write(head % b"b" + b"Content-Length: %d\r\n\r\n" % size)
        if self.command != "HEAD":
            self.wfile.write(bytes(size))

    def do_HEAD(self) -> None:
        self.do_GET()

    def pieces(self) -> Iterator[bytes]:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while length := int(self.rfile.readline(), 16):
                yield self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
        else:
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """Has room for many connections."""

    request_queue_size = 128


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the first process of a container ignores it otherwise
if "fail" in sys.argv:
    sys.exit("cannot start: no such table")
Server(("", int(os.environ["PORT"])), Handler).serve_forever()
