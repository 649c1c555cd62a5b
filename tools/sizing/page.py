"""The generated parts of docs/sizing.md."""

from tools.sizing import figures
from tools.sizing.instances import CALL, COUNTS, ENGINES, growth
from tools.sizing.load import ASSUMED, Load
from tools.sizing.plan import Plan, Tier, plan

TEAMS = (
    Load(people=3, runs=20, metrics=100, profile="dev"),
    Load(people=10, runs=100, metrics=1_000),
    Load(people=50, runs=2_000, metrics=1_000),
    Load(people=200, runs=20_000, metrics=200, traces=100_000),
    Load(people=500, runs=50_000, metrics=500),
    Load(people=500, runs=50_000, metrics=500, engine="mysql"),
)
"""A small team that tries it, to what needs the larger tiers."""


def assumptions() -> str:
    """Returns the assumptions as a list."""
    return "\n".join(f"- {line}" for line in ASSUMED)


def examples() -> str:
    """A row for each of some teams."""
    known = figures.read()
    header = (
        "| people | runs a day | values a run | traces a day | tier | instances | connections | disk | reached first |"
    )
    return "\n".join((header, "| --- " * 9 + "|", *(_row(plan(team, known)) for team in TEAMS)))


def _row(made: Plan) -> str:
    load, settings = made.load, made.settings
    used, available = made.connections
    cells = (
        f"{load.people:,}",
        f"{load.runs:,}",
        f"{load.metrics:,}",
        f"{load.traces:,}",
        f"{load.engine}, `{settings['database.tier']}`",
        f"{settings['service.min_instances']} to {settings['service.max_instances']}",
        f"{used} of {available}",
        f"{made.disk_gb:,} GB",
        f"{made.limits[0].name}, {made.limits[0].share:.0%}",
    )
    return f"| {' | '.join(cells)} |"


def instances() -> str:
    """A row for each number of instances on each engine."""
    known = figures.read()
    header = (
        f"| instances | engine | {CALL} calls/s | connections | tier that has them | tier that has the CPUs"
        " | reached first, at so many instances |"
    )
    rows = [header, "| --- " * 7 + "|"]
    for count in COUNTS:
        for engine in ENGINES:
            grown = growth(engine, count, known)
            cells = (
                f"{count}",
                engine,
                f"{grown.calls:,.0f}",
                f"{grown.connections:,}",
                _tier(grown.by_connections),
                _tier(grown.by_cpu),
                f"{grown.first}, {grown.most}",
            )
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _tier(tier: Tier | None) -> str:
    return f"`{tier.name}`" if tier else "none"
