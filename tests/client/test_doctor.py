"""`mlflow-google doctor` says which credential there is, and what the service answers and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import gate as gates
from harness import google_endpoints as google
from harness.google_endpoints import ROBOT, Google
from localcloud.machine.identity import IdentityProvider
from tests.client.package import CLIENT, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.gate import Gate


@pytest.fixture
def variables(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A program on a machine whose metadata server gives tokens of ROBOT."""
    cloud = Google(IdentityProvider(clients=lambda _: None))
    with google.metadata(cloud) as there:
        yield there | {"HOME": str(tmp_path), "PATH": str(tmp_path), "PYTHONPATH": str(CLIENT)}


@pytest.fixture
def gate() -> Iterator[tuple[Gate, str]]:
    with gates.standing() as standing:
        yield standing


def test_who_is_let_in_is_told_by_which_credential(variables: dict[str, str], gate: tuple[Gate, str]) -> None:
    done = run(variables, "doctor", gate[1])
    assert done.returncode == 0, done.stderr
    for said in ("metadata server", ROBOT, f"audience    {gate[1]}", "lets you in"):
        assert said in done.stdout


def test_who_is_refused_is_told_why(variables: dict[str, str], gate: tuple[Gate, str]) -> None:
    gate[0].forbidden = True
    done = run(variables, "doctor", gate[1])
    assert done.returncode == 77
    assert f"refused the token of {ROBOT}" in done.stdout
    assert "access.service_accounts" in done.stdout
    assert "It said: 403 not you" in done.stdout


def test_a_service_that_is_away_is_no_matter_of_credentials(variables: dict[str, str]) -> None:
    done = run(variables, "doctor", "http://127.0.0.1:1")
    assert done.returncode == 69
    assert "cannot be reached" in done.stdout


def test_no_token_is_shown_nor_sent_over_http(variables: dict[str, str]) -> None:
    done = run(variables, "doctor", "http://mlflow.example.com")
    assert done.returncode == 64
    assert "is not https: no token is sent there" in done.stdout
    assert "eyJ" not in done.stdout + done.stderr
