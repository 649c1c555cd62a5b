"""The measurements of the service as a page with tables and a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench.chart import Bar, draw
from bench.seed import CONTENT

DOCUMENT = Path(__file__).parents[1] / "docs/bench/service.md"


class Point(NamedTuple):
    """Where on the path a call is put in.

    Attributes:
        name: What it passes first.
        port: The port of the container; 0 for the front door's address.
        inside: From the container's network, else from outside.
    """

    name: str
    port: int
    inside: bool


FRONT_DOOR = Point("front door", 0, inside=False)
PORT = Point("container's port", 4180, inside=False)
PROXY = Point("oauth2-proxy", 4180, inside=True)
DIRECT = Point("MLflow", 8080, inside=True)
POINTS = (FRONT_DOOR, PORT, PROXY, DIRECT)


class Phase(NamedTuple):
    """One kind of call, for a while.

    Attributes:
        rate: Calls a second.
        latencies: Of each call, in milliseconds.
    """

    rate: float
    latencies: Sequence[float]


@dataclass(frozen=True)
class Load:
    """All kinds of call, one after the other.

    Attributes:
        phases: By the kind of call.
        cpu_ms: CPU time of each part of the service, in milliseconds a call.
    """

    phases: Mapping[str, Phase]
    cpu_ms: Mapping[str, float]

    @classmethod
    def read(cls, said: Mapping[str, Any], cpu_seconds: Mapping[str, float]) -> "Load":
        """Reads what the load script printed."""
        calls = sum(len(phase["latencies"]) for phase in said.values())
        phases = {
            kind.removeprefix("runs/"): Phase(len(phase["latencies"]) / phase["seconds"], phase["latencies"])
            for kind, phase in said.items()
        }
        return cls(phases, {part: 1000 * seconds / calls for part, seconds in cpu_seconds.items()})


@dataclass(frozen=True)
class Figures:
    """Everything that was measured.

    Attributes:
        applies: Seconds from `terraform apply` to the first page behind the sign-in.
        cold_starts: Seconds of a request that found no instance.
        loads: By clients and point.
        growth: By runs in the database and point, at one number of clients.
        phase: After how many calls or seconds a phase ended.
    """

    applies: Sequence[float]
    cold_starts: Sequence[float]
    loads: Mapping[int, Mapping[Point, Sequence[Load]]]
    growth: Mapping[int, Mapping[Point, Sequence[Load]]]
    phase: tuple[int, int]


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Returns median and range."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def rates(loads: Sequence[Load], kind: str) -> list[float]:
    return [load.phases[kind].rate for load in loads]


def ratio(loads: Mapping[Point, Sequence[Load]], kind: str) -> float:
    """Returns how many calls a second the path has for one of MLflow directly."""
    return median(rates(loads[FRONT_DOOR], kind)) / median(rates(loads[DIRECT], kind))


def percentiles(loads: Sequence[Load], kind: str) -> str:
    """Returns p50, p95 and p99 over all phases: the least latency that so many of a hundred calls do not exceed."""
    values = sorted(value for load in loads for value in load.phases[kind].latencies)
    return " / ".join(f"{values[-(-len(values) * share // 100) - 1]:.0f}" for share in (50, 95, 99))


def kinds(figures: Figures) -> list[str]:
    return list(next(iter(figures.loads.values()))[DIRECT][0].phases)


def comparison(rows: Mapping[int, Mapping[Point, Sequence[Load]]], column: str, names: Sequence[str]) -> str:
    """Returns a table of path against direct."""
    lines = [
        f"| call | {column} | path, calls/s | direct, calls/s | ratio | path, p50 / p95 / p99 ms | direct |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind in names:
        for number, loads in rows.items():
            path, direct = loads[FRONT_DOOR], loads[DIRECT]
            lines.append(
                f"| {kind} | {number:,} | {spread(rates(path, kind))} | {spread(rates(direct, kind))}"
                f" | {ratio(loads, kind):.2f} | {percentiles(path, kind)} | {percentiles(direct, kind)} |"
            )
    return "\n".join(lines)


def stages(figures: Figures, names: Sequence[str]) -> str:
    """Returns a table of what each part of the path adds."""
    one, several = min(figures.loads), sorted(figures.loads)[1]
    lines = [
        "| put in at | passes | "
        + " | ".join(f"{kind}, {one} client, p50 ms" for kind in names)
        + " | "
        + " | ".join(f"{kind}, {several} clients, calls/s" for kind in names)
        + " |",
        "| --- | --- |" + " --- |" * 2 * len(names),
    ]
    passed = {
        FRONT_DOOR: "front door, port forwarding, proxy, MLflow",
        PORT: "port forwarding, proxy, MLflow",
        PROXY: "proxy, MLflow",
        DIRECT: "MLflow",
    }
    for point, parts in passed.items():
        latencies = [
            median(value for load in figures.loads[one][point] for value in load.phases[kind].latencies)
            for kind in names
        ]
        throughput = [spread(rates(figures.loads[several][point], kind)) for kind in names]
        cells = [point.name, parts, *(f"{value:.1f}" for value in latencies), *throughput]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def cpu_times(figures: Figures) -> str:
    """Returns a table of the CPU time of a call, by the part that uses it."""
    several = sorted(figures.loads)[1]
    loads = figures.loads[several]
    lines = ["| part | path, CPU ms a call | direct |", "| --- | --- | --- |"]
    for part in loads[DIRECT][0].cpu_ms:
        cells = [spread([load.cpu_ms[part] for load in loads[point]], 2) for point in (FRONT_DOOR, DIRECT)]
        lines.append(f"| {part} | {' | '.join(cells)} |")
    return "\n".join(lines)


def bars(figures: Figures, names: Sequence[str]) -> list[Bar]:
    """Returns path against direct, and every number of runs against the fewest."""
    drawn: list[Bar] = []
    for kind in names:
        for clients, loads in figures.loads.items():
            value = f"{median(rates(loads[FRONT_DOOR], kind)):.0f}/s"
            label = f"{kind}, clients: {clients} / MLflow directly"
            drawn.append(Bar(label=label, share=ratio(loads, kind), goal=None, value=value))
    fewest = min(figures.growth)
    for kind in names:
        base = median(rates(figures.growth[fewest][FRONT_DOOR], kind))
        for runs in list(figures.growth)[1:]:
            rate = median(rates(figures.growth[runs][FRONT_DOOR], kind))
            label = f"{kind}, {runs:,} runs / {fewest:,} runs"
            drawn.append(Bar(label=label, share=rate / base, goal=None, value=f"{rate:.0f}/s"))
    return drawn


def page(figures: Figures) -> str:
    """Returns the page."""
    names = kinds(figures)
    calls, seconds = figures.phase
    several = sorted(figures.loads)[1]
    phases = len(figures.loads[several][DIRECT])
    ratios = [ratio(loads, kind) for loads in figures.loads.values() for kind in names]
    return f"""\
# The service, measured

By `make bench-service`: the demo's document, applied to this machine. Medians with their range.

| from | to | seconds | times |
| --- | --- | --- | --- |
| `terraform apply` of the tracking stack, nothing there | the first page behind the sign-in \
| {spread(figures.applies, 1)} | {len(figures.applies)} |
| a request while no instance runs | its answer | {spread(figures.cold_starts, 2)} | {len(figures.cold_starts)} |

Images are built and the local cloud is up before the first of them.

## Through the whole path, and MLflow asked directly

*Path* is a client outside of the container, with an identity token: front door, port forwarding, oauth2-proxy, MLflow,
PostgreSQL. *Direct* is the same client in the container's network, at MLflow's own port. Both share this machine's CPUs
with all the parts, and oauth2-proxy the container's one CPU with MLflow; Google's front end has machines of its own.

{comparison(figures.loads, "clients", names)}

The path makes {min(ratios):.2f} to {max(ratios):.2f} of the calls a second of MLflow directly. Each client has a run
and a connection of its own. A phase is one kind of call, {calls} times or for {seconds} s, whichever comes first. There
are {phases} phases of each, all points of the path there and back. A batch has 20 metrics; a search sorts the runs of
the experiment by their start and returns 20.

![Calls a second as shares](service.svg)

## Where the difference goes

The same calls put in at each point of the path:

{stages(figures, names)}

CPU time of a call, all kinds together, {several} clients:

{cpu_times(figures)}

Port forwarding is the container engine's: its processes copy between this machine and the container's network. They are
not among the parts of the second table.

## Growth

{several} clients; every run has {CONTENT}, all in one experiment.

{comparison(figures.growth, "runs", names)}
"""


def write(figures: Figures) -> str:
    """Writes the page and its picture; returns the page."""
    text = page(figures)
    DOCUMENT.write_text(text)
    picture = draw(bars(figures, kinds(figures)), ours="through the whole path")
    DOCUMENT.with_suffix(".svg").write_text(picture)
    return text
