"""How many instances a revision should have, and how long a request waits for one: what Google says, as functions.

Two mechanisms: metrics of the last minute, against a target of 60 % each, and demand, for requests that no instance
has room for. Only a request wakes a revision that has no instance. Left out: custom targets, manual scaling, the higher
targets that Google has while there are few instances (it gives no numbers), and instances beyond the maximum, which
Google starts for a short time.
https://cloud.google.com/run/docs/about-instance-autoscaling
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# https://cloud.google.com/run/docs/configuring/scaling-controls
TARGET = 0.6
WINDOW_S = 60
# "3.5 times average startup time of container instances of this service, or 10 seconds, whichever is greater"
PENDING_STARTS, PENDING_S = 3.5, 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """The terms on which a revision is scaled.

    Attributes:
        min_instances: So many are kept running.
        max_instances: So many run at most.
        concurrency: Most requests at a time for one instance.
        cpus: CPUs of an instance.
        window_s: Seconds over which metrics are averaged.
    """

    min_instances: int
    max_instances: int
    concurrency: int
    cpus: float
    window_s: float = WINDOW_S


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What was seen of a revision between two moments.

    Attributes:
        at: The later one, in seconds of a clock that only goes forward.
        seconds: From the earlier one.
        requests: Those that an instance had, or that waited for one.
        cpu_seconds: CPU time that its instances took.
    """

    at: float
    seconds: float
    requests: int
    cpu_seconds: float


def wanted(terms: Terms, seen: Iterable[Observation], *, now: float, requests: int, instances: int) -> int:
    """Returns how many instances a revision should have.

    Args:
        terms: Its terms.
        seen: What was seen of it; seconds of which nothing is known count as quiet.
        now: By the clock of the observations.
        requests: Those that an instance has, or that wait for one.
        instances: How many it has, those that are starting included.
    """
    if not (instances or requests):
        return terms.min_instances
    recent = [it for it in seen if it.at > now - terms.window_s]
    concurrency = sum(it.requests * it.seconds for it in recent) / terms.window_s / terms.concurrency
    cpu = sum(it.cpu_seconds for it in recent) / terms.window_s / terms.cpus
    by_metrics = math.ceil(round(max(concurrency, cpu) / TARGET, 6))
    if by_metrics == 1 and not requests:
        by_metrics = 0  # no instance is without all CPU time: the last one goes by its requests
    on_demand = math.ceil(requests / terms.concurrency)
    return min(terms.max_instances, max(terms.min_instances, by_metrics, on_demand))


def pending_s(startups: Collection[float]) -> float:
    """Returns how long a request may wait for an instance, in seconds.

    Args:
        startups: How long instances took to start, or have been starting until now.
    """
    return max(PENDING_S, PENDING_STARTS * sum(startups) / len(startups)) if startups else PENDING_S
