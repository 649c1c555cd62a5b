"""A token is renewed in time, goes to its host alone, and a refusal is repeated once and explained."""

from __future__ import annotations

import io
import logging
import multiprocessing
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from google.auth.exceptions import TransportError

from localcloud.identity import IdentityProvider
from tests.client import gate as gates
from tests.client.google import ROBOT

sys.path.insert(0, str(Path(__file__).parents[2] / "client" / "src"))
from mlflow_google import auth, hosts, tokens
from mlflow_google.auth import GoogleAuth
from mlflow_google.credentials import Token
from mlflow_google.errors import CredentialError, RefusedError
from mlflow_google.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.client.gate import Gate

IDENTITY = IdentityProvider(clients=lambda _: None)


class Source:
    """Where tokens come from; counts how often it was asked."""

    def __init__(self, lifetime_s: float = 3600) -> None:
        self.lifetime_s = lifetime_s
        self.away = False
        self.asked = 0
        self._lock = threading.Lock()

    def __call__(self, audience: str) -> Token:
        with self._lock:
            self.asked += 1
            number = self.asked
        if self.away:
            raise TransportError("no route to host")
        text = IDENTITY.token(audience=audience, email=ROBOT, exp=int(time.time() + self.lifetime_s), jti=str(number))
        return Token(text, "a test")


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def google_auth(source: Source, monkeypatch: pytest.MonkeyPatch) -> GoogleAuth:
    monkeypatch.setattr(tokens, "FIRST_PAUSE_S", 0.01)
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


def test_an_outage_of_google_is_survived_while_the_token_lives(
    source: Source, google_auth: GoogleAuth, server: tuple[Gate, str], caplog: pytest.LogCaptureFixture
) -> None:
    source.lifetime_s = 4
    assert requests.get(server[1], auth=google_auth, timeout=30).ok
    source.away = True
    until = time.monotonic() + 3
    with caplog.at_level(logging.WARNING):
        while time.monotonic() < until:
            assert requests.get(server[1], auth=google_auth, timeout=30).ok
    assert "the old one is good until" in caplog.text
    source.away = False
    time.sleep(1.5)  # the first token's end is what is tested
    assert requests.get(server[1], auth=google_auth, timeout=30).ok


def test_an_outage_that_outlives_the_token_is_an_error_with_its_cause(
    source: Source, google_auth: GoogleAuth, server: tuple[Gate, str]
) -> None:
    source.away = True
    with pytest.raises(CredentialError, match="Google did not answer 6 times: no route to host"):
        requests.get(server[1], auth=google_auth, timeout=30)


def test_a_refused_request_is_repeated_once_with_its_body(google_auth: GoogleAuth, server: tuple[Gate, str]) -> None:
    gate, url = server
    requests.get(url, auth=google_auth, timeout=30)
    gate.revoked = {gate.headers[0].removeprefix("Bearer ")}
    for body in (b"batch", io.BytesIO(b"file")):
        answer = requests.post(url, data=body, auth=google_auth, timeout=30)
        assert answer.ok
        gate.revoked = {gate.headers[-1].removeprefix("Bearer ")}
    assert gate.bodies[1:] == [b"batch", b"file"]


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
    monkeypatch.setattr(auth, "clock_skew", lambda _: 600.0)
    with pytest.raises(RefusedError, match="clock is 600 s behind"):
        requests.get(server[1], auth=google_auth, timeout=30)


@pytest.mark.parametrize(
    "uri", ["http://example.com", "http://127.0.0.2.example.com", "https://mlflow.example.com", "file:///x", ""]
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


def test_a_redirect_takes_no_token_along(google_auth: GoogleAuth, server: tuple[Gate, str]) -> None:
    gate, url = server
    with gates.standing() as (foreign, other):
        gate.redirect = other.replace("127.0.0.1", "localhost")
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
