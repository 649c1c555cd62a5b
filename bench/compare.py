"""This image beside another build of it, in one run: what a change costs. `make bench-image BASELINE=IMAGE`.

IMAGE is a reference in this machine's engine: what `make image` printed, in a worktree of an earlier commit. Both get
the same environment, database and load, in turn. Prints a table.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from bench.goals import figure
from bench.image import Start, start_and_load
from bench.service_page import Load, percentiles, rates, spread
from containers.container import ContainerSpec
from containers.engine import Engine, EngineError
from harness import local
from harness.service import PORT, SERVICE_URL, Platform, Service

ROUNDS = 5
CLIENTS = (1, 8, 32)
CALLS, SECONDS = 400, 3
"""A phase ends after so many, whichever comes first."""
SCRIPT = Path(__file__).parent / "load_in_phases.py"
INSIDE = "/load.py"
GIVE_UP_S = 300


@dataclass(frozen=True)
class Round:
    """One build, measured once: its start and memory, and its answers by number of clients."""

    start: Start
    loads: dict[int, Load]


def load(platform: Platform, service: Service, clients: int) -> Load:
    """Goes through the kinds of call, from a container with a CPU of its own beside the service."""
    numbers = [str(number) for number in (clients, CALLS, SECONDS)]
    spec = ContainerSpec(
        image=platform.image,
        entrypoint="/opt/mlflow/bin/python",
        command=[INSIDE, f"http://127.0.0.1:{PORT}", urlsplit(SERVICE_URL).netloc, *numbers],
        environment={"TOKEN": service.token()},
        mounts={SCRIPT: INSIDE},
    )
    before = service.container.cpu_seconds()
    client = platform.engine.start(spec, beside=service.container)
    try:
        status, said = client.wait(GIVE_UP_S), client.logs()
    finally:
        client.remove()
    if status:
        raise RuntimeError(said)
    return Load.read(json.loads(said), {"service": service.container.cpu_seconds() - before})


def measure(platform: Platform, image: str, template: str) -> Round:
    """Starts a build on a database of its own for each figure, and loads it."""

    def fresh() -> ContainerSpec:
        spec = platform.spec(platform.postgres.uri(platform.postgres.create(template=template)))
        return replace(spec, image=image)

    start = start_and_load(platform, fresh())
    with platform.running(fresh()) as container:
        service = Service(container, platform.google.identity)
        service.wait_until_ready()
        load(platform, service, CLIENTS[0])  # warms up
        return Round(start, {clients: load(platform, service, clients) for clients in CLIENTS})


def table(before: Sequence[Round], now: Sequence[Round], sizes: tuple[float, float]) -> str:
    """Returns the figures, a line each: medians of the rounds (range), and percentiles of all calls."""
    both = (before, now)
    lines = ["| figure | before | now | change of the median |", "| --- | --- | --- | --- |"]

    def add(name: str, cells: Sequence[str], values: Sequence[Sequence[float]]) -> None:
        lines.append(f"| {name} | {' | '.join(cells)} | {median(values[1]) / median(values[0]) - 1:+.0%} |")

    def measured(name: str, values: list[list[float]], unit: str) -> None:
        add(name, [figure(each, unit) for each in values], values)

    measured("start to first 200", [[each.start.seconds for each in rounds] for rounds in both], "s")
    measured("memory after the load", [[each.start.memory_mib for each in rounds] for rounds in both], "MiB")
    measured("image", [[size] for size in sizes], "MiB")
    for clients in CLIENTS:
        loads = [[each.loads[clients] for each in rounds] for rounds in both]
        cpu = [[each.cpu_ms["service"] for each in of] for of in loads]
        add(f"CPU of a call, {clients} at once", [f"{spread(of, 1)} ms" for of in cpu], cpu)
        for kind in loads[0][0].phases:
            name = f"{kind}, {clients} at once"
            measured(f"{name}: calls a second", [rates(of, kind) for of in loads], "/s")
            medians = [[median(each.phases[kind].latencies) for each in of] for of in loads]
            add(f"{name}: p50 / p95 / p99", [f"{percentiles(of, kind)} ms" for of in loads], medians)
    return "\n".join(lines)


def main() -> int:
    """Measures and prints; returns 2 when there is no such image."""
    baseline, *others = sys.argv[1:] or [""]
    with local.platform(Engine()) as platform:
        if others or not baseline or not platform.engine.has_image(baseline):
            sys.stderr.write(
                f"no image {baseline!r} in this engine: give the reference that `make image` printed there\n"
            )
            return 2
        template = local.migrated_database(platform)
        rounds: dict[str, list[Round]] = {baseline: [], platform.image: []}
        for number in range(ROUNDS):
            # Each goes first as often as the other.
            for image in sorted(rounds, reverse=bool(number % 2)):
                rounds[image].append(measure(platform, image, template))
                seconds = rounds[image][-1].start.seconds
                sys.stderr.write(
                    f"{time.strftime('%H:%M:%S')} round {number + 1}, {image}: started in {seconds:.2f} s\n"
                )
        sizes = (platform.engine.image_mib(baseline), platform.engine.image_mib(platform.image))
        sys.stdout.write(f"before: {baseline}; now: {platform.image}\n\n")
        sys.stdout.write(table(rounds[baseline], rounds[platform.image], sizes) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EngineError as error:
        sys.exit(str(error))
