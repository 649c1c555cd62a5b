"""A token is renewed in time, goes to its host alone, and a refusal is repeated once and explained."""

from __future__ import annotations

import io
import multiprocessing
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from harness import gate as gates
from harness.google_endpoints import ADC_AUDIENCE, ROBOT
from localcloud.machine.identity import GCLOUD_AUDIENCE
from tests.client.package import IDENTITY, Source

sys.path.insert(0, str(Path(__file__).parents[2] / "client" / "src"))
from mlflow_google import hosts, refusal
from mlflow_google.auth import GoogleAuth
from mlflow_google.credentials import Token
from mlflow_google.errors import RefusedError
from mlflow_google.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.gate import Gate


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def google_auth(source: Source) -> GoogleAuth:
    return GoogleAuth(Tokens(source))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Gate, str]]:
    with gates.standing() as (gate, url):
        monkeypatch.setattr(hosts, "tracking_uri", lambda: url)
        yield gate, url


def test_one_token_serves_many_requests_of_many_threads(
    source: Source, google_auth: GoogleAuth, server: tuple[Gate, str]
) -> None:
    gate, url = server
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: requests.get(url, auth=google_auth, timeout=30).status_code, range(64)))
    assert set(answers) == {200}
    assert source.asked == 1
    assert len(set(gate.headers)) == 1


def test_tokens_of_seconds_are_renewed_before_they_end(
    source: Source, google_auth: GoogleAuth, server: tuple[Gate, str]
) -> None:
    source.lifetime_s = 2
    end = time.monotonic() + 6
    answers: list[int] = []
    while time.monotonic() < end:
        answers.append(requests.get(server[1], auth=google_auth, timeout=30).status_code)
    assert set(answers) == {200}
    assert 3 <= source.asked < len(answers)


def test_a_refused_request_is_repeated_once_with_its_body(google_auth: GoogleAuth, server: tuple[Gate, str]) -> None:
    gate, url = server
    requests.get(url, auth=google_auth, timeout=30)
    gate.revoked = {gate.headers[0].removeprefix("Bearer ")}
    for body in (b"batch", io.BytesIO(b"file")):
        answer = requests.post(url, data=body, auth=google_auth, timeout=30)
        assert answer.ok
        gate.revoked = {gate.headers[-1].removeprefix("Bearer ")}
    assert gate.bodies[1:] == [b"batch", b"file"]


def test_what_cannot_be_sent_twice_is_not_repeated_half(google_auth: GoogleAuth, server: tuple[Gate, str]) -> None:
    gate, url = server
    requests.get(url, auth=google_auth, timeout=30)
    gate.revoked = {gate.headers[0].removeprefix("Bearer ")}
    assert requests.post(url, data=iter([b"gone"]), auth=google_auth, timeout=30).status_code == 403
    assert requests.post(url, data=iter([b"next"]), auth=google_auth, timeout=30).ok
    assert gate.bodies[1:] == [b"next"]


def test_a_token_that_ends_on_the_way_is_not_taken_for_a_refusal(
    source: Source, google_auth: GoogleAuth, server: tuple[Gate, str]
) -> None:
    source.lifetime_s, server[0].slow_s = 1, 1.2
    server[0].slow_answers = 3
    assert requests.get(server[1], auth=google_auth, timeout=30).ok


@pytest.mark.parametrize(
    ("status", "headers", "refused"),
    [
        (401, {}, True),
        (403, {"WWW-Authenticate": 'Bearer realm="mlflow", error="invalid_token"'}, True),
        (403, {"Content-Type": "text/html; charset=UTF-8"}, True),  # Cloud Run's own
        (403, {"Content-Type": "application/json"}, False),  # MLflow's own, of permissions
        (404, {"WWW-Authenticate": "Bearer"}, False),
    ],
)
def test_the_gates_refusal_is_told_from_mlflows(status: int, headers: dict[str, str], *, refused: bool) -> None:
    answer = requests.Response()
    answer.status_code = status
    answer.headers.update(headers)
    assert refusal.was_refused(answer) == refused


@pytest.mark.parametrize(
    ("email", "audience", "cause"),
    [
        ("ada@example.com", ADC_AUDIENCE, "access.adc_tokens = true"),
        ("ada@example.com", GCLOUD_AUDIENCE, "access.gcloud_tokens = true"),
        (None, "https://mlflow.example.com", "decides by the address"),
        (ROBOT, "https://other.example.com", "the audience must be the service's address"),
    ],
)
def test_a_refusal_names_its_likely_cause(email: str | None, audience: str, cause: str) -> None:
    answer = requests.Response()
    answer.url = "https://mlflow.example.com/api"
    said = refusal.why_refused(answer, Token(IDENTITY.token(audience=audience, email=email), "a test"))
    assert cause in said
    assert f"audience {audience}" in said


def test_a_second_refusal_says_who_was_refused_and_what_to_do(
    google_auth: GoogleAuth, server: tuple[Gate, str]
) -> None:
    gate, url = server
    gate.forbidden = True
    with pytest.raises(RefusedError, match=f"refused the token of {ROBOT}.*access.service_accounts"):
        requests.get(url, auth=google_auth, timeout=30)
    assert len(gate.headers) == 2


def test_a_wrong_clock_is_named(
    google_auth: GoogleAuth, server: tuple[Gate, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server[0].forbidden = True
    monkeypatch.setattr(refusal, "clock_skew", lambda _: 600.0)
    with pytest.raises(RefusedError, match="clock is 600 s behind"):
        requests.get(server[1], auth=google_auth, timeout=30)


@pytest.mark.parametrize(
    "uri",
    [
        *("http://example.com", "http://127.0.0.2.example.com", "https://mlflow.example.com", "file:///x", ""),
        *("http://127.0.0.1:port", "http://[::1", "http://127.0.0.1@example.com"),
    ],
)
def test_a_foreign_host_sees_no_header(
    google_auth: GoogleAuth, server: tuple[Gate, str], monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    gate, url = server
    monkeypatch.setattr(hosts, "tracking_uri", lambda: uri)
    requests.get(url, auth=google_auth, timeout=30)
    assert gate.headers == [""]


@pytest.mark.parametrize("host", ["http://mlflow.example.com", "http://10.0.0.1", "http://[fe80::1]"])
def test_no_token_leaves_this_machine_over_http(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr(hosts, "tracking_uri", lambda: host)
    assert not hosts.may_have_token(f"{host}/api/2.0/mlflow/runs/create")


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("https://MLflow.example.com/", "https://mlflow.example.com:443/api"),
        ("https://mlflow.example.com", "https://mlflow.example.com/api?x=1"),
        ("http://localhost:5000", "http://localhost:5000/api"),
    ],
)
def test_the_tracking_server_is_known_however_it_is_written(
    monkeypatch: pytest.MonkeyPatch, uri: str, url: str
) -> None:
    monkeypatch.setattr(hosts, "tracking_uri", lambda: uri)
    assert hosts.may_have_token(url)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])  # another name, and another port of the same
def test_a_redirect_takes_no_token_along(google_auth: GoogleAuth, server: tuple[Gate, str], host: str) -> None:
    gate, url = server
    with gates.standing() as (foreign, other):
        gate.redirect = other.replace("127.0.0.1", host)
        requests.get(url, auth=google_auth, timeout=30)
        assert foreign.headers == [""]


def test_a_stale_token_of_the_environment_is_overwritten_and_told_once(
    google_auth: GoogleAuth, server: tuple[Gate, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "stale")
    for _ in range(3):
        stale = {"Authorization": "Bearer stale"}
        assert requests.get(server[1], headers=stale, auth=google_auth, timeout=30).ok
    assert caplog.text.count("MLFLOW_TRACKING_TOKEN is ignored") == 1


def _ask(google_auth: GoogleAuth, url: str) -> None:
    sys.exit(0 if requests.get(url, auth=google_auth, timeout=30).ok else 1)


def test_a_forked_worker_goes_on_even_if_a_thread_held_the_lock(
    google_auth: GoogleAuth, server: tuple[Gate, str]
) -> None:
    with google_auth._tokens._lock:
        worker = multiprocessing.get_context("fork").Process(target=_ask, args=(google_auth, server[1]))
        worker.start()
    worker.join(30)
    assert worker.exitcode == 0
