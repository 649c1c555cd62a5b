"""How many instances a revision should have, by what is seen of it, and how long a request waits for one."""

from __future__ import annotations

import pytest

from localcloud.machine.scaling import Observation, Terms, pending_s, wanted

TERMS = Terms(min_instances=0, max_instances=10, concurrency=80, cpus=1)
AT_LEAST_TWO = Terms(min_instances=2, max_instances=10, concurrency=80, cpus=1)
TWO_CPUS = Terms(min_instances=0, max_instances=10, concurrency=80, cpus=2)
NOW = 1_000.0


def minute(*, requests: int = 0, cpus: float = 0, seconds: int = 60) -> list[Observation]:
    """What was seen until now, each second: so many requests, and so many CPUs busy."""
    return [Observation(at=NOW - age, seconds=1, requests=requests, cpu_seconds=cpus) for age in range(seconds)]


A_MINUTE_AGO = [Observation(at=NOW - 60, seconds=60, requests=800, cpu_seconds=600)]
ROWS: dict[str, tuple[Terms, list[Observation], int, int, int]] = {
    "nothing to do": (TERMS, minute(), 0, 0, 0),
    "only a request wakes it, work does not": (TERMS, minute(cpus=5), 0, 0, 0),
    "the first request": (TERMS, [], 1, 0, 1),
    "as many as one takes": (TERMS, [], 80, 0, 1),
    "one more than it takes": (TERMS, [], 81, 0, 2),
    "the last one goes by its requests, not by its CPU": (TERMS, minute(cpus=0.5), 0, 1, 0),
    "many go by their CPU": (TERMS, minute(cpus=1.3), 0, 3, 3),
    "60 % of the CPU are the target": (TERMS, minute(cpus=0.6), 1, 1, 1),
    "a little more is too much": (TERMS, minute(cpus=0.61), 1, 1, 2),
    "an instance of two CPUs does twice as much": (TWO_CPUS, minute(cpus=1.2), 1, 1, 1),
    "60 % of the places are the target": (TERMS, minute(requests=48), 48, 1, 1),
    "a request more is too much": (TERMS, minute(requests=49), 49, 1, 2),
    "half a minute is half as much": (TERMS, minute(requests=49, seconds=30), 49, 1, 1),
    "what was a minute ago is forgotten": (TERMS, A_MINUTE_AGO, 1, 1, 1),
    "the minimum": (AT_LEAST_TWO, minute(), 0, 0, 2),
    "the minimum under load": (AT_LEAST_TWO, minute(), 1, 2, 2),
    "the maximum": (TERMS, minute(requests=800, cpus=10), 8_000, 10, 10),
}
"""What is seen, how many requests there are now and how many instances, and how many there should be."""


@pytest.mark.parametrize(("terms", "seen", "requests", "instances", "expected"), ROWS.values(), ids=ROWS)
def test_as_many_instances_as_load_and_terms_ask(
    terms: Terms, seen: list[Observation], requests: int, instances: int, expected: int
) -> None:
    assert wanted(terms, seen, now=NOW, requests=requests, instances=instances) == expected


def test_load_that_grows_and_ends_is_followed() -> None:
    """A second of 10 places is looked at after the other, as a revision does it."""
    terms = Terms(min_instances=0, max_instances=5, concurrency=10, cpus=1)
    load = [0, 1, 12, 25, 60, 60] + [3] * 60 + [0] * 60
    seen: list[Observation] = []
    followed: list[int] = []
    for second, requests in enumerate(load):
        seen.append(Observation(at=second, seconds=1, requests=requests, cpu_seconds=0))
        count = followed[-1] if followed else 0
        followed.append(wanted(terms, seen, now=second, requests=requests, instances=count))
    assert followed[:6] == [0, 1, 2, 3, 5, 5]
    assert followed[65] == 1
    assert followed[-1] == 0


@pytest.mark.parametrize(("startups", "expected"), [([], 10), ([1, 2], 10), ([4, 6], 17.5), ([2, 20], 38.5)], ids=str)
def test_a_request_waits_ten_seconds_or_three_and_a_half_starts(startups: list[float], expected: float) -> None:
    assert pending_s(startups) == expected
