"""Logs: JSON of both processes, with user, severity and trace, without noise and without secrets."""

import base64
import json
import re
import secrets
import socket
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from harness.databases import PASSWORD
from harness.service import CLIENT_SECRET, COOKIE_SECRET, PROJECT, SEARCH, USER, Platform, Service
from harness.waiting import wait_for

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun import logs

TOKEN = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")


def entries(service: Service) -> list[dict[str, object]]:
    return [json.loads(line) for line in service.container.logs().splitlines()]


def test_every_line_is_a_json_entry_with_a_severity(service: Service) -> None:
    service.search()
    service.http.get(SEARCH, headers={"Authorization": "Basic eDp5"})
    wait_for(lambda: "edge" in {entry["logger"] for entry in entries(service)}, "a refusal")
    loggers = {str(entry["logger"]) for entry in entries(service) if entry["severity"] and entry["message"]}
    assert {"edge", "oauth2-proxy", "requests", "uvicorn.error"} <= loggers


def traced(service: Service, trace: str) -> list[dict[str, object]]:
    """Returns the entries that Logs Explorer nests below the request of this trace."""
    name = f"projects/{PROJECT}/traces/{trace}"
    return [entry for entry in entries(service) if entry.get("logging.googleapis.com/trace") == name]


# What Cloud Run sends: https://cloud.google.com/run/docs/trace
@pytest.mark.parametrize("header", ["X-Cloud-Trace-Context: {}/1;o=1", "traceparent: 00-{}-00f067aa0ba902b7-01"])
def test_a_request_is_logged_with_its_user_and_trace(service: Service, header: str) -> None:
    name, _, value = header.partition(": ")
    trace = secrets.token_hex(16)
    service.http.get(SEARCH, headers=service.bearer() | {name: value.format(trace)})
    (found,) = traced(service, trace)
    assert (found["user"], found["httpRequest"]["status"]) == (USER, 200)  # type: ignore[index]


@pytest.mark.parametrize("spoiled", [{"audience": "https://elsewhere.run.app"}, {"email": "eve@evil.test"}])
def test_a_refusal_is_a_warning_and_says_why(service: Service, spoiled: dict[str, str]) -> None:
    trace = secrets.token_hex(16)
    before = len(entries(service))
    service.http.get(SEARCH, headers=service.bearer(**spoiled) | {"X-Cloud-Trace-Context": f"{trace}/1;o=1"})
    wait_for(lambda: traced(service, trace), "the edge's entry")
    assert {entry["severity"] for entry in traced(service, trace)} == {"WARNING"}
    reasons = [str(entry) for entry in entries(service)[before:] if str(entry["logger"]).startswith("oauth2-proxy")]
    assert any(value in reason for value in spoiled.values() for reason in reasons)


def test_what_the_edge_refuses_is_logged_with_its_trace_and_without_its_query(service: Service) -> None:
    trace = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "Authorization": "Basic eDp5"}
    service.http.get(f"{SEARCH}&hidden=1", headers=headers)
    wait_for(lambda: traced(service, trace), "the entry")
    (found,) = traced(service, trace)
    assert (found["severity"], found["message"]) == ("WARNING", f"GET {SEARCH.partition('?')[0]} 401: refused")


def test_no_caller_takes_a_user_out_of_the_log(service: Service) -> None:
    trace = secrets.token_hex(16)
    for hidden in ("X-Forwarded-Email", "X-Forwarded-Email, X-Forwarded-User, X-Cloud-Trace-Context"):
        headers = {"Connection": hidden, "X-Cloud-Trace-Context": f"{trace}/1"}
        assert service.http.get(SEARCH, headers=service.bearer() | headers).status_code == 200
    assert [entry["user"] for entry in traced(service, trace)] == [USER, USER]


def test_probes_make_no_noise(service: Service) -> None:
    before = len(entries(service))
    for path in ("/ping", "/ready", "/ping"):
        assert service.http.get(path).status_code == 200
    assert service.container.execute("bash", "-c", ". /opt/image/start.sh; answers 8080 && echo yes") == "yes\n"
    assert len(entries(service)) == before


JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.cGxhbnRlZC1zaWduYXR1cmU"
PLANTED = (
    JWT,
    "ya29.planted-access-token",
    "GOCSPX-planted-client-secret",
    "1//0planted-refresh-token",
    "4/0planted-code-of-a-sign-in",
)
ODD = (b"\x07\x0b", b"\x7f", b"\xff\xfe", "\u2028\U0001f600".encode(), b'"}\\', b"%0a%22%7d")


def odd_requests(secret: str, odd: bytes) -> list[bytes]:
    """Requests with a credential where none belongs, and bytes that need care in JSON."""
    text = secret.encode()
    quoted = quote(secret, safe="").encode()
    lines = [
        b"GET /%b HTTP/1.1\r\nHost: 127.0.0.1",
        b"GET /api/2.0/%b/x HTTP/1.1\r\nHost: 127.0.0.1",
        b"GET /?token=%b HTTP/1.1\r\nHost: 127.0.0.1",
        b"GET http://127.0.0.1/%b HTTP/1.1\r\nHost: 127.0.0.1",
        b"GET /oauth2/start?rd=https://%b/ HTTP/1.1\r\nHost: 127.0.0.1",
        b"GET /oauth2/callback?error=%b HTTP/1.1\r\nHost: 127.0.0.1",
        b"GET /oauth2/callback?code=%b&state=%b HTTP/1.1\r\nHost: 127.0.0.1",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Auth-Request-Redirect: //%b",
        b"GET / HTTP/1.1\r\nHost: %b",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: %b",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: %b",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: bearer  x %b",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %b",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic " + base64.b64encode(b"x:" + text) + b"%.0b",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nProxy-Authorization: %b\r\nX-Api-Key: %b",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: __Host-mlflow=%b",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Cloud-Trace-Context: %b",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\ntraceparent: 00-%b-x-01",
        b"%b / HTTP/1.1\r\nHost: 127.0.0.1",
    ]
    return [
        line.replace(b"%.0b", b"").replace(b"%b", value) + b"\r\nConnection: close\r\n\r\n"
        for line in lines
        for value in (text, text + odd, quoted + odd)
    ]


def send(port: int, request: bytes) -> None:
    """Sends it as it is, and reads whatever comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection, suppress(ConnectionError):
        connection.sendall(request)
        while connection.recv(65536):
            pass


def test_no_line_holds_a_credential_and_every_line_is_json(service: Service, platform: Platform) -> None:
    port = httpx.URL(service.url).port or 80
    bearer = service.bearer()["Authorization"].encode()
    for secret in PLANTED:
        for odd in ODD if secret == JWT else ODD[:1]:
            for request in odd_requests(secret, odd):
                send(port, request)
                if b"Authorization" not in request:  # and once more by somebody who is signed in
                    send(port, request.replace(b"\r\nConnection", b"\r\nAuthorization: " + bearer + b"\r\nConnection"))
    for claim in ("aud", "iss", "email"):
        for odd in ("\x07\x0b\x7f", "\u2028\U0001f600", '"}\\', JWT):
            service.http.get(SEARCH, headers=service.bearer(**{claim: f"x{odd}@x"}))
    token = service.token()
    service.http.get(f"{SEARCH}&access_token={token}", headers={"Authorization": f"Bearer {token}"})
    service.http.get(SEARCH, headers={"Authorization": f"Bearer {token}x"})
    marker = secrets.token_hex(16)
    service.http.get(SEARCH, headers={"X-Cloud-Trace-Context": f"{marker}/1", "Authorization": "Basic eDp5"})
    wait_for(lambda: traced(service, marker), "the last line")
    log = "".join([*platform.logs, service.container.logs()])
    for line in log.splitlines():
        assert json.loads(line)["message"]
    assert not TOKEN.search(log)
    planted = (
        CLIENT_SECRET,
        COOKIE_SECRET,
        PASSWORD,
        *PLANTED,
        *JWT.split(".")[1:],
        *(quote(each, safe="") for each in PLANTED),
    )
    assert [secret for secret in planted if secret in log] == []


@pytest.mark.parametrize("letter", ["a", "1", "-", "é"])
def test_a_text_without_a_credential_is_read_once(letter: str) -> None:
    # Anybody gets 16 KiB into a line: /oauth2/callback?error=... From each letter on, that took five seconds.
    text = letter * 1_000_000
    assert logs.without_credentials({"message": text}) == {"message": text}


@pytest.mark.parametrize("before", ["", " ", "x.", "=", "/"])
def test_a_long_run_of_base64_is_taken_for_a_credential(before: str) -> None:
    assert logs.without_credentials(f"{before}{'aB3_-' * 16}.") == f"{before}[credential]."


def test_every_request_that_is_served_is_logged_with_its_user(service: Service) -> None:
    served = [entry for entry in entries(service) if entry["logger"] == "requests"]
    assert served
    assert [entry for entry in served if not entry["user"]] == []
