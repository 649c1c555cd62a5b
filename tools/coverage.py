"""Prints the share of each room's lines and branches that `pytest --cov` has run; fails where it is too small.

Not in each run of the tests: measuring takes half as much time again of what runs Python.
"""

import io
import sys
from collections.abc import Mapping
from typing import Final

from coverage import Coverage

AT_LEAST: Final = {"stacks": 95, "localcloud": 85, "containers": 65, "tools": 50}
"""Percent, by room. image/ runs in containers, where it is not seen: a share of it would fall with each test that asks
a container. Its routes, settings and limits are tables, and a row without a test fails (tests/image/)."""


def shares(coverage: Coverage, rooms: Mapping[str, float]) -> dict[str, float]:
    """Returns the percentage of each room."""
    return {room: coverage.report(include=[f"{room}/*"], file=io.StringIO()) for room in rooms}


def verdict(found: Mapping[str, float], at_least: Mapping[str, float]) -> list[str]:
    """Returns a line for each room, which says so where there is too little."""
    return [
        f"{room:<12}{share:6.1f} %" + (f"  FAILED: {at_least[room]} % is the least" if share < at_least[room] else "")
        for room, share in found.items()
    ]


def main() -> int:
    """Reads .coverage; returns the exit status."""
    coverage = Coverage()
    coverage.load()
    found = shares(coverage, AT_LEAST)
    short = [room for room, share in found.items() if share < AT_LEAST[room]]
    for room in short:
        coverage.report(include=[f"{room}/*"], show_missing=True, skip_covered=True)
    # Last, where a reader of a long log looks first.
    print("\n".join(verdict(found, AT_LEAST)))
    return bool(short)


if __name__ == "__main__":
    sys.exit(main())
