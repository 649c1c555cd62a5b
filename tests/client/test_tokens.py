"""A token is renewed in time, by one thread, and an outage of Google is waited out."""

from __future__ import annotations

import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.google_endpoints import ROBOT
from tests.client.package import Source

sys.path.insert(0, str(Path(__file__).parents[2] / "client" / "src"))
from mlflow_google import tokens
from mlflow_google.credentials import Token
from mlflow_google.errors import CredentialError
from mlflow_google.tokens import Tokens

SERVICE = "https://mlflow.example.com"
THREADS = 8


@pytest.fixture
def source() -> Source:
    return Source()


def all_at_once(kept: Tokens) -> list[str]:
    """Asks from many threads; returns what each got, or the error that it got."""
    together = threading.Barrier(THREADS)

    def ask(_: int) -> str:
        together.wait()
        try:
            return kept.get(SERVICE).text
        except CredentialError as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(ask, range(THREADS)))


def test_each_audience_has_its_own_token(source: Source) -> None:
    kept = Tokens(source)
    first, other = kept.get(SERVICE), kept.get("https://other.example.com")
    assert (first.audience, other.audience) == (SERVICE, "https://other.example.com")
    assert kept.get(SERVICE) is first
    assert source.asked == 2


def test_a_token_is_renewed_five_minutes_before_it_ends(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, now = Tokens(source), time.time()
    first = kept.get(SERVICE)
    for passed, renewed in ((3600 - 310, False), (3600 - 290, True)):
        monkeypatch.setattr(time, "time", lambda passed=passed: now + passed)
        assert (kept.get(SERVICE) is not first) == renewed


def test_one_thread_renews_while_the_others_go_on_with_the_old_token(source: Source) -> None:
    source.lifetime_s = 4
    kept = Tokens(source)
    old = kept.get(SERVICE).text
    time.sleep(2.2)  # in the second half of its life
    source.slow_s = 1
    got = all_at_once(kept)
    assert source.asked == 2
    assert got.count(old) == THREADS - 1


def test_a_living_token_is_not_held_up_by_an_outage(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    source.lifetime_s = 4
    kept = Tokens(source)
    old = kept.get(SERVICE)
    time.sleep(2.2)
    source.away_until = time.monotonic() + 60
    with caplog.at_level(logging.WARNING):
        assert kept.get(SERVICE) is old
    assert source.asked == 2  # once, and no more
    assert "the old one is good until" in caplog.text


def test_an_outage_that_outlives_the_token_is_waited_out(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    source.lifetime_s = 2
    kept = Tokens(source)
    old = kept.get(SERVICE)
    source.away_until = time.monotonic() + 5
    with caplog.at_level(logging.WARNING):
        while (token := kept.get(SERVICE)) is old:
            assert time.time() < old.expires
            time.sleep(0.05)
    assert time.monotonic() >= source.away_until
    assert token.expires > time.time()
    assert "it is asked again for" in caplog.text


def test_a_token_that_ends_while_google_is_asked_is_not_used(source: Source) -> None:
    source.lifetime_s = 4
    kept = Tokens(source)
    kept.get(SERVICE)
    time.sleep(2.2)
    source.slow_s, source.away_until = 2.5, time.monotonic() + 1
    assert kept.get(SERVICE).expires > time.time()


@pytest.mark.parametrize("refused", [True, False])
def test_threads_that_waited_for_a_failure_do_not_repeat_it(
    source: Source, monkeypatch: pytest.MonkeyPatch, *, refused: bool
) -> None:
    monkeypatch.setattr(tokens, "PATIENCE_S", 1)
    source.slow_s = 0.5
    if refused:
        source.refusal = "invalid_grant: Bad Request"
    else:
        source.away_until = time.monotonic() + 60
    start = time.monotonic()
    (said,) = set(all_at_once(Tokens(source)))
    assert ("sign in again" if refused else "gave no answer for") in said
    assert time.monotonic() - start < 5  # the eight are not one after the other


def test_who_comes_after_a_failure_asks_again(source: Source) -> None:
    kept = Tokens(source)
    source.refusal = "invalid_grant: Bad Request"
    with pytest.raises(CredentialError):
        kept.get(SERVICE)
    source.refusal = ""
    assert kept.get(SERVICE).email == ROBOT


@pytest.mark.parametrize("wrong_by_s", [7200, -7200])
def test_a_wrong_clock_does_not_ask_google_at_each_request(
    source: Source, monkeypatch: pytest.MonkeyPatch, wrong_by_s: float
) -> None:
    real = time.time
    text = source(SERVICE).text
    monkeypatch.setattr(time, "time", lambda: real() + wrong_by_s)
    asked: list[str] = []
    kept = Tokens(lambda audience: asked.append(audience) or Token(text, "a test"))
    for _ in range(10):
        assert kept.get(SERVICE).text == text
    assert len(asked) == 1
