"""The size of a deployment for a load, by the project's own rules between settings."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stacks.settings.cross_rules import AVAILABLE_CONNECTIONS, MOST_INSTANCES, NEEDED_CONNECTIONS
from stacks.settings.problems import Problem, SettingsError
from tools import toml
from tools.sizing.figures import Figures
from tools.sizing.load import PAGE, Demand, Load, at_runs

BUSY: Final = 0.6
"""The share of what an instance or the database can do that is asked of it at the peak."""
FEWEST_INSTANCES: Final = 2
"""So that one that ends, or that a long request blocks, is not the only one."""
CONCURRENCY: Final = (10, 80)
"""Fewest and most requests at a time; within them as many as an instance answers in a second."""
IDLE_MINUTES: Final = 15
"""After which Cloud Run ends an idle instance: https://cloud.google.com/run/docs/about-instance-autoscaling"""
HOT_DAYS: Final = 30
"""What searches read of so many days fits into half of the database's memory; the page shows the newest first."""
LONGEST_SEARCH_MS: Final = 5_000
"""As monitoring.p95_milliseconds, unless it is set."""
LARGEST_DISK_GB: Final = 65_536
"""https://cloud.google.com/sql/docs/postgres/instance-settings#storage-capacity-2ndgen"""
SMALLEST_DISK_GB: Final = 10
GB: Final = 1e9
_FEWER_CALLS: Final = "log the metrics of a step in one call, or less often; or deploy one server for each team"
_REFUSED: Final = {
    "connections": ("runs", _FEWER_CALLS),
    "database's CPU": ("runs", _FEWER_CALLS),
    "database's memory": ("runs", "deploy one server for each team"),
    "database's disk": ("days", "keep them for fewer days, or log less often"),
}
"""By the limits that the largest deployment cannot exceed: where it is said, and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tier:
    """A machine type of Cloud SQL: https://cloud.google.com/sql/docs/postgres/instance-settings#machine-type-2ndgen.

    Attributes:
        name: As settings name it.
        cpus: Half of one where it is shared with others.
        memory_mb: Of the machine.
    """

    name: str
    cpus: float
    memory_mb: int


_SHARED: Final = Tier(name="db-g1-small", cpus=0.5, memory_mb=1_740)
"""For what can be thrown away: it has no service level, https://cloud.google.com/sql/sla."""
_DEDICATED: Final = tuple(
    Tier(name=f"db-custom-{cpus}-{cpus * 3_840}", cpus=cpus, memory_mb=cpus * 3_840)
    for cpus in (1, 2, 4, 8, 16, 32, 64, 96)
)
TIERS: Final = {"dev": (_SHARED, *_DEDICATED), "prod": _DEDICATED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """How much is used of what there is, at the peak and at the end of the days.

    Attributes:
        name: Of what.
        used: So much.
        of: Of so much.
        unit: Of both.
        then: What is done when it is reached.
    """

    name: str
    used: float
    of: float
    unit: str
    then: str

    @property
    def share(self) -> float:
        """The used part; above 1 it is too much."""
        return self.used / self.of

    def __str__(self) -> str:
        """The limit in words."""
        used, of = (f"{number:,.2g}" if number < 10 else f"{number:,.0f}" for number in (self.used, self.of))  # noqa: PLR2004
        return f"{self.name} {self.share:.0%}, {used} of {of} {self.unit}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A deployment that carries a load.

    Attributes:
        load: What it is for.
        demand: What that comes to.
        settings: What is set, by the fields' paths.
        connections: Used and available ones.
        limits: The one that is reached first comes first.
    """

    load: Load
    demand: Demand
    settings: dict[str, Any]
    connections: tuple[int, int]
    limits: Sequence[Limit]

    @property
    def disk_gb(self) -> int:
        """The database's disk at the end of the days, without the system's own files."""
        return max(SMALLEST_DISK_GB, math.ceil(self.demand.database_bytes(self.load.days) / GB))

    def toml(self) -> str:
        """The settings as a block of a settings file."""
        lines: list[str] = []
        for path, value in self.settings.items():
            if value == "":
                continue
            section, _, field = path.partition(".")
            if f"[{section}]" not in lines:
                lines += [*([""] if lines else []), f"[{section}]"]
            lines.append(f"{field} = {toml.value(value)}")
        return "\n".join((*lines, ""))


def plan(load: Load, figures: Figures) -> Plan:
    """Makes the plan for a load.

    Raises:
        SettingsError: No deployment of this project carries it; every reason is named.
    """
    demand = Demand.of(load, figures)
    instances = max(FEWEST_INSTANCES, math.ceil(demand.instances / BUSY))
    sized = [_sized(load, demand, figures, tier, instances) for tier in TIERS[load.profile]]
    chosen = next((one for one in sized if not _exceeded(one)), sized[-1])
    if problems := [*_problems(chosen)]:
        raise SettingsError("the load", problems)
    return chosen


def _sized(load: Load, demand: Demand, figures: Figures, tier: Tier, instances: int) -> Plan:
    asked = sum(demand.calls.values()) / demand.instances
    fewest, most = CONCURRENCY
    settings: dict[str, Any] = {
        "database.engine": load.engine,
        "database.tier": tier.name,
        "database.disk_gb": 0,
        "service.cpu": "1",
        "service.memory": "1Gi",
        # Where an instance never ends for want of calls, keeping it costs nothing more.
        "service.min_instances": int(load.runs >= 24 * 60 / IDLE_MINUTES),
        "service.max_instances": instances,
        "service.concurrency": min(most, max(fewest, round(asked))),
        "jobs.enabled": load.profile == "prod" or load.traces > 0,
        "jobs.gc_schedule": "0 3 * * 0" if load.profile == "prod" or load.traces > 0 else "",
        "jobs.archive_schedule": "0 4 * * *" if load.traces else "",
    }
    used, available, carried = (
        int(tree.evaluate(settings.__getitem__)) for tree in (NEEDED_CONNECTIONS, AVAILABLE_CONNECTIONS, MOST_INSTANCES)
    )
    limits = (
        Limit(
            name="instances' CPU",
            used=demand.instances,
            of=instances * BUSY,
            unit="busy instances",
            then="raise service.max_instances",
        ),
        Limit(
            name="connections",
            used=demand.instances / BUSY,
            of=carried,
            unit="instances that the tier has connections for",
            then="take the next database.tier",
        ),
        Limit(
            name="database's CPU",
            used=demand.database_cpus,
            of=tier.cpus * BUSY,
            unit="CPUs",
            then="take the next database.tier",
        ),
        Limit(
            name="database's memory",
            used=demand.searched_of_day * min(HOT_DAYS, load.days) / 1e6,
            of=tier.memory_mb / 2,
            unit=f"MB that searches read of {HOT_DAYS} days",
            then="take the next database.tier",
        ),
        Limit(
            name="database's disk",
            used=demand.database_bytes(load.days) / GB,
            of=LARGEST_DISK_GB,
            unit="GB",
            then="delete runs and collect them",
        ),
        Limit(
            name="searches",
            used=at_runs(figures.search_p95_ms, load.runs_of_experiment),
            of=LONGEST_SEARCH_MS,
            unit="ms of the slowest 5 %",
            then="begin a new experiment; one has become too large",
        ),
    )
    return Plan(
        load=load,
        demand=demand,
        settings=settings,
        connections=(used, available),
        limits=sorted(limits, key=lambda limit: -limit.share),
    )


def _exceeded(tried: Plan) -> list[Limit]:
    """Returns the loads that a tier cannot carry; slow searches are a matter of experiments, not of size."""
    return [limit for limit in tried.limits if limit.share > 1 and limit.name in _REFUSED]


def _problems(tried: Plan) -> Iterator[Problem]:
    for limit in _exceeded(tried):
        field, remedy = _REFUSED[limit.name]
        yield Problem(
            field=field,
            value=getattr(tried.load, field),
            rule=f"the largest deployment has {limit.of:,.0f} {limit.unit}, and these are {limit.used:,.0f}",
            remedy=remedy,
            url=PAGE,
        )
