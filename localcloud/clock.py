"""The time in the local cloud: this machine's, which can be pushed forward.

Schedules and alerts go by it; what containers, tokens and conditions of grants see is this machine's own time.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from localcloud.terraform.model import at, number

if TYPE_CHECKING:
    from localcloud.store import Store

_OFFSET = "clock.offset"
_KEY = "clock"
_NOTICED = "clock.noticed"
_LOOK_AGAIN_S = 0.2  # another process may have pushed it
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


class Clock:
    """Tells the time.

    Args:
        store: Where it is remembered how far the time was pushed.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._offset = timedelta()
        self._looked = float("-inf")

    def now(self) -> datetime:
        """The time, in UTC."""
        if time.monotonic() - self._looked > _LOOK_AGAIN_S:
            self._looked = time.monotonic()
            seconds = at(self._store.get(_OFFSET, _KEY), "seconds")
            self._offset = timedelta(seconds=seconds) if isinstance(seconds, int | float) else timedelta()
        return datetime.now(UTC) + self._offset

    def push(self, by: timedelta) -> datetime:
        """Pushes it forward, for every process of this local cloud; returns the time that it is then."""
        self._looked = float("-inf")
        offset = self.now() + by - datetime.now(UTC)
        self._store.put(_OFFSET, _KEY, {"seconds": offset.total_seconds()})
        self._looked = float("-inf")
        return self.now()

    def notice(self, who: str, when: datetime) -> None:
        """Remembers that somebody who goes by it has done what was due at a time."""
        self._store.put(_NOTICED, who, {"seconds": when.timestamp()})

    def is_noticed(self, when: datetime) -> bool:
        """Whether all who go by it have done what was due at a time to which it was pushed."""
        seen = [number(one, "seconds") for one in self._store.all(_NOTICED)]
        return min(seen, default=0) >= when.timestamp()

    def timestamp(self) -> str:
        """The time in Google's form."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def duration(text: str) -> timedelta:
    """Reads `+7d`, `90m` or `1h30m`.

    Raises:
        ValueError: It is none.
    """
    parts = re.findall(r"(\d+)([dhms])", text)
    if not parts or "".join(map("".join, parts)) != text.removeprefix("+"):
        raise ValueError(f"{text!r} is not like +7d, 90m or 1h30m")
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())


def seconds(value: object) -> float:
    """Reads a Duration of Google's JSON, such as `3.5s`; 0 where there is none.

    https://protobuf.dev/reference/protobuf/google.protobuf/#duration
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)s", value) if isinstance(value, str) else None
    return float(found[1]) if found else 0
