"""Cloud Scheduler's schedules: five fields in unix-cron's form, in a time zone.

Left out: the legacy form of App Engine (`every 24 hours`).
https://cloud.google.com/scheduler/docs/configuring/cron-job-schedules
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ANY = "*"
_LONGEST_SEARCH = timedelta(days=8 * 366)  # 29 February may be eight years away


class BadSchedule(ValueError):  # noqa: N818 - what it is
    """Not a schedule, or not a time zone."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something is due.

    Attributes:
        minutes: minutes of the hour.
        hours: hours of the day.
        days: days of the month; None for any.
        months: months, 1 to 12.
        weekdays: days of the week, 0 for Sunday; None for any. Where days are named too, one of both is enough.
        zone: whose clock it is.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: str) -> Schedule:
        """Reads a schedule such as `0 3 * * 0`.

        Args:
            text: the five fields.
            zone: a name of the tz database, such as `Europe/Vienna`.

        Raises:
            BadSchedule: it is none.
        """
        fields = text.split()
        if len(fields) != 5:  # noqa: PLR2004
            raise BadSchedule(f"{text!r} has not five fields: minute, hour, day of the month, month, day of the week")
        minute, hour, day, month, weekday = fields
        return cls(
            minutes=_values(minute, 0, 59),
            hours=_values(hour, 0, 23),
            days=None if day == _ANY else _values(day, 1, 31),
            months=_values(month, 1, 12, _MONTHS, first=1),
            weekdays=None if weekday == _ANY else frozenset(it % 7 for it in _values(weekday, 0, 7, _DAYS)),
            zone=_zone(zone),
        )

    def after(self, moment: datetime) -> datetime | None:
        """The first time after a moment at which it is due, in UTC; None if there is none.

        A time of day that a clock skips in spring is due when the clock goes on; one that it has twice in autumn, at
        the first of both.
        """
        local = moment.astimezone(self.zone).replace(second=0, microsecond=0, tzinfo=None)
        day, end = local.date(), local.date() + _LONGEST_SEARCH
        while day <= end:
            if day.month in self.months and self._is_day(day.day, day.isoweekday() % 7):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        wall = datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001 - the zone's own
                        due = wall.replace(tzinfo=self.zone).astimezone(UTC)
                        if due > moment:
                            return due
            day += timedelta(days=1)
        return None

    def _is_day(self, day: int, weekday: int) -> bool:
        if self.days is None or self.weekdays is None:
            return (self.days is None or day in self.days) and (self.weekdays is None or weekday in self.weekdays)
        return day in self.days or weekday in self.weekdays


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise BadSchedule(f"{name!r} is no time zone of the tz database") from error


def _values(field: str, low: int, high: int, names: tuple[str, ...] = (), first: int = 0) -> frozenset[int]:
    """The numbers of a field: `*`, `5`, `1-5`, `*/15`, `mon-fri`, and several of them with commas."""
    found: set[int] = set()
    numbers = {name: index + first for index, name in enumerate(names)}
    for part in field.lower().split(","):
        form = re.fullmatch(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?", part)
        if not form:
            raise BadSchedule(f"{part!r} of {field!r} has no form of a cron field")
        start, stop, step = form.groups()
        ends = [numbers[end] if end in numbers else int(end) if end.isdecimal() else -1 for end in (start, stop) if end]
        from_, to = (ends[0], ends[-1]) if ends else (low, high)
        if ends and step and not stop:
            to = high
        if not low <= from_ <= to <= high or step == "0":
            raise BadSchedule(f"{part!r} of {field!r} is not within {low} to {high}")
        found |= set(range(from_, to + 1, int(step or 1)))
    return frozenset(found)
