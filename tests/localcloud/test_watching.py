"""The clock that every process shares, and the incidents: what the local cloud's own commands print."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from localcloud.__main__ import main
from localcloud.clock import Clock, duration
from localcloud.machine.logbook import Logbook, Source
from localcloud.store import Store

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = Source(project="acme", resource="cloud_run_job", resource_labels={"job_name": "gc"}, labels={})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a local cloud with a job in two regions and a schedule."""
    store = Store(tmp_path)
    for region in ("here", "there"):
        name = f"projects/acme/locations/{region}/jobs/gc"
        job = {"id": name, "name": "gc", "project": "acme", "location": region}
        store.put("google_cloud_run_v2_job", name, {**job})
    schedule = {"id": "projects/acme/locations/here/jobs/nightly", "name": "nightly", "schedule": "0 3 * * *"}
    store.put("google_cloud_scheduler_job", schedule["id"], {**schedule, "time_zone": "Etc/UTC", "state": "ENABLED"})
    logbook = Logbook(tmp_path / "logs", Clock(store))
    for line in ("one", '{"severity": "error", "message": "two"}', "{'three'}"):
        logbook.line(SOURCE, "stderr", line)
    store.close()
    return tmp_path


def run(home: Path, *arguments: str) -> int:
    return main(["--home", str(home), *arguments])


def test_the_clock_is_pushed_for_every_process(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(home, "clock", "+7d") == 0
    assert run(home, "clock", "1h30m") == 0
    shown = datetime.fromisoformat(capsys.readouterr().out.split()[-1])
    ahead = shown - datetime.now(UTC)
    assert timedelta(days=7, minutes=89) < ahead < timedelta(days=7, minutes=91)


@pytest.mark.parametrize("text", ["7", "+7w", "d", "-7d", "1h 30m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not like"):
        duration(text)


def test_the_log_is_for_its_owner_alone(home: Path) -> None:
    assert (home / "logs" / "entries.jsonl").stat().st_mode & 0o777 == 0o600


def test_open_incidents_are_listed_and_what_is_not_evaluated(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(home)
    for state, name, what in (("OPEN", "errors", {"entry": {"textPayload": "no"}}), ("CLOSED", "slow", {"value": 2})):
        incident = {"name": name, "policyName": name, "state": state, "opened": "2026-05-01T12:00:00.1Z"}
        store.put("monitoring.incident", name, {**incident, **what})
    query = {"condition_prometheus_query_language": [{"query": "up"}]}
    for name, policy in (("up", {"conditions": [query]}), ("off", {"enabled": False})):
        store.put("google_monitoring_alert_policy", name, {"display_name": name, **policy})
    store.close()
    assert run(home, "alerts") == 0
    assert capsys.readouterr().out.splitlines() == [
        'OPEN   since 2026-05-01T12:00:00Z  errors: {"textPayload": "no"}',
        "not evaluated: off: it is disabled",
        "not evaluated: up: condition_prometheus_query_language has no meaning in the local cloud",
    ]
    assert run(home, "alerts", "--all") == 0
    assert "CLOSED since 2026-05-01T12:00:00Z  slow: value 2" in capsys.readouterr().out


def test_where_there_is_no_cloud_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["status"], ["clock", "+7d"], ["alerts"]):
        assert run(tmp_path / "none", *words) == 0
        assert "There is no local cloud in" in capsys.readouterr().out
    assert run(tmp_path / "none", "gcloud", "run", "jobs", "executions", "list") == 69
    assert "nothing runs here" in capsys.readouterr().err
