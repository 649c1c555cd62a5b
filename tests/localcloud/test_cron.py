"""Schedules are due when Cloud Scheduler's are, in the time zone's own time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from localcloud.services.cron import BadSchedule, Schedule


def due(schedule: str, after: str, zone: str = "Etc/UTC", times: int = 1) -> list[str]:
    moment, found = datetime.fromisoformat(after).replace(tzinfo=UTC), list[str]()
    for _ in range(times):
        moment = Schedule.parse(schedule, zone).after(moment)
        assert moment
        found.append(moment.strftime("%Y-%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("* * * * *", "2026-05-01T12:00:30", ["2026-05-01T12:01", "2026-05-01T12:02"]),
        ("0 3 * * 0", "2026-05-01T12:00", ["2026-05-03T03:00", "2026-05-10T03:00"]),
        ("0 3 * * sun", "2026-05-01T12:00", ["2026-05-03T03:00"]),
        ("0 3 * * 7", "2026-05-01T12:00", ["2026-05-03T03:00"]),
        ("*/15 8-9 * * mon-fri", "2026-05-01T09:40", ["2026-05-01T09:45", "2026-05-04T08:00"]),
        ("30 4 1,15 * *", "2026-05-01T12:00", ["2026-05-15T04:30", "2026-06-01T04:30"]),
        ("30 4 1,15 * 5", "2026-05-01T12:00", ["2026-05-08T04:30", "2026-05-15T04:30"]),  # either is enough
        ("5/20 0 1 jan *", "2026-05-01T12:00", ["2027-01-01T00:05", "2027-01-01T00:25", "2027-01-01T00:45"]),
        ("0 0 29 2 *", "2026-05-01T12:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
    ],
)
def test_when_it_is_due(schedule: str, after: str, expected: list[str]) -> None:
    assert due(schedule, after, times=len(expected)) == expected


def test_the_hour_is_that_of_the_time_zone_in_summer_and_in_winter() -> None:
    assert due("0 3 * * *", "2026-10-24T00:00", "Europe/Vienna", 2) == ["2026-10-24T01:00", "2026-10-25T02:00"]


def test_a_time_that_the_clock_skips_is_due_when_it_goes_on() -> None:
    assert due("30 2 * * *", "2026-03-28T12:00", "Europe/Vienna", 2) == ["2026-03-29T01:30", "2026-03-30T00:30"]


def test_a_day_that_never_comes_is_never_due() -> None:
    assert Schedule.parse("0 0 31 2 *", "UTC").after(datetime(2026, 5, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("schedule", "zone"),
    [
        ("0 3 * *", "UTC"),
        ("0 3 * * * *", "UTC"),
        ("60 3 * * *", "UTC"),
        ("0 24 * * *", "UTC"),
        ("0 3 0 * *", "UTC"),
        ("0 3 * 13 *", "UTC"),
        ("0 3 * * 8", "UTC"),
        ("0 9-3 * * *", "UTC"),
        ("*/0 * * * *", "UTC"),
        ("every 24 hours", "UTC"),
        ("0 3 * * *", "Europe/Atlantis"),
        ("0 3 * * *", ""),
        ("0 3 * * *", "../etc/passwd"),
    ],
)
def test_what_is_no_schedule_is_refused(schedule: str, zone: str) -> None:
    with pytest.raises(BadSchedule):
        Schedule.parse(schedule, zone)
