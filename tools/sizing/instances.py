"""Growth by instances: what so many of them ask of the database, and the limit that ends it, of what was measured."""

from dataclasses import dataclass
from typing import Final

from stacks.settings.cross_rules import MOST_INSTANCES, NEEDED_CONNECTIONS
from stacks.settings.database import Engine
from tools.sizing.figures import Figures
from tools.sizing.plan import BUSY, TIERS, Tier

COUNTS: Final = (1, 10, 100)
ENGINES: Final[tuple[Engine, ...]] = ("postgresql", "mysql")
CALL: Final = "log-metric"
"""The kind of call of which an instance makes the most, so that it asks the most of the database."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """A number of instances that are as busy as they may be, on one engine.

    Attributes:
        engine: The database's engine.
        instances: So many, with jobs enabled.
        calls: Calls a second of all of them.
        connections: Connections of two revisions and the jobs.
        by_connections: The smallest tier that has them; None if no tier does.
        by_cpu: The smallest tier whose CPUs are as busy as they may be; None likewise.
        first: The limit that is reached first on the larger of both, or on the largest tier.
        most: So many instances reach it.
    """

    engine: Engine
    instances: int
    calls: float
    connections: int
    by_connections: Tier | None
    by_cpu: Tier | None
    first: str
    most: int


def growth(engine: Engine, instances: int, figures: Figures) -> Growth:
    """Returns what so many instances ask for."""
    tiers = TIERS["prod"]
    carried = [_most(engine, tier, figures) for tier in tiers]
    by_connections, by_cpu = (
        next((index for index, limits in enumerate(carried) if limits[name] >= instances), None)
        for name in ("connections", "the database's CPU")
    )
    needed = len(tiers) - 1 if by_connections is None or by_cpu is None else max(by_connections, by_cpu)
    first = min(carried[needed], key=carried[needed].__getitem__)
    settings = {"service.max_instances": instances, "jobs.enabled": True}
    return Growth(
        engine=engine,
        instances=instances,
        calls=instances * BUSY * figures.calls[CALL],
        connections=int(NEEDED_CONNECTIONS.evaluate(settings.__getitem__)),
        by_connections=None if by_connections is None else tiers[by_connections],
        by_cpu=None if by_cpu is None else tiers[by_cpu],
        first=first,
        most=carried[needed][first],
    )


def _most(engine: Engine, tier: Tier, figures: Figures) -> dict[str, int]:
    """How many instances a tier carries, by limit."""
    settings = {"database.engine": engine, "database.tier": tier.name, "jobs.enabled": True}
    cpu_of_instance = figures.calls[CALL] * BUSY * figures.database_cpu_ms / 1_000
    return {
        "connections": int(MOST_INSTANCES.evaluate(settings.__getitem__)),
        "the database's CPU": int(tier.cpus * BUSY / cpu_of_instance),
    }
