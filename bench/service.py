"""The service of an applied document through its whole path, against MLflow asked directly in the same run.

The demo's document runs on a local cloud: front door, port forwarding into the container, oauth2-proxy, MLflow,
PostgreSQL. Prints the tables and rewrites docs/bench/service.md and its chart.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench import processes, service_page
from bench.seed import seed
from bench.service_page import DIRECT, FRONT_DOOR, POINTS, Figures, Load, Point
from bench.sign_in import first_page
from containers.container import Container, ContainerSpec
from harness.world import READER, SEARCH, World
from localcloud import daemon
from localcloud.machine.template import LABEL
from stacks import bindings

SCRIPT = Path(__file__).parent / "load_in_phases.py"
INSIDE = "/load.py"
CLIENTS = (1, 8, 32)
GROWTH = (1_000, 10_000, 100_000)
GROWTH_CLIENTS = 8
APPLIES, COLD_STARTS, ROUNDS = 3, 5, 2
CALLS, SECONDS = 400, 2
"""A phase ends after so many, whichever comes first."""
IDLE_S = 2
GIVE_UP_S = 60


@dataclass(frozen=True)
class Bench:
    """Where load is made: outside, by a process of this machine, or in the network of the service's container."""

    world: World
    instance: Container
    database: Container
    client: Container
    token: str

    @classmethod
    def of(cls, world: World) -> "Bench":
        """Takes the running instance, and starts the client beside it."""
        (instance,) = world.instances()
        mine = world.engine.containers(f"{LABEL.partition('.')[0]}={daemon.label(world.home)}")
        (database,) = (container for container in mine if "localcloud.dialect" in container.labels())
        token = world.token()
        spec = ContainerSpec(
            image=world.settings.service.image,
            entrypoint="/bin/sleep",
            command=["infinity"],
            environment={"TOKEN": token},
            mounts={SCRIPT: INSIDE},
        )
        return cls(world, instance, database, world.engine.start(spec, beside=instance), token)

    def close(self) -> None:
        """Ends the client at once: the first process of a container ignores TERM."""
        self.client.signal("KILL")
        self.client.remove()

    def load(self, point: Point, clients: int) -> Load:
        """Goes through the kinds of call at one point of the path."""
        host = self.world.url.removeprefix("http://")
        numbers = [str(number) for number in (clients, CALLS, SECONDS)]
        before = self.cpu_seconds()
        if point.inside:
            address = f"http://127.0.0.1:{point.port}"
            said = self.client.execute("/opt/mlflow/bin/python", INSIDE, address, host, *numbers)
        else:
            address = f"http://{self.instance.published(point.port)}" if point.port else self.world.url
            said = subprocess.run(
                [sys.executable, SCRIPT, address, host, *numbers],
                env={"TOKEN": self.token},
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        used = {part: seconds - before[part] for part, seconds in self.cpu_seconds().items()}
        return Load.read(json.loads(said), used)

    def cpu_seconds(self) -> dict[str, float]:
        """Returns the CPU time that each part has used so far."""
        parts = {
            "front door": [int(self.world.facts["pid"])],
            "oauth2-proxy": processes.of(self.instance, "oauth2-proxy"),
            "MLflow": processes.of(self.instance, "mlflow_cloudrun"),
            "PostgreSQL": processes.of(self.database),
        }
        return {part: processes.cpu_seconds(ids) for part, ids in parts.items()}

    def in_turn(self, points: Iterable[Point], clients: int) -> dict[Point, list[Load]]:
        """Asks at every point, there and back, so that each comes first as often: the database grows."""
        results: dict[Point, list[Load]] = {point: [] for point in points}
        for point in [*results, *reversed(results)]:
            results[point].append(self.load(point, clients))
        return results


def tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def time_to_first_page(world: World) -> float:
    """Destroys what there is; returns the seconds of an apply and a sign-in."""
    world.tracking.destroy()
    begin = time.monotonic()
    world.tracking.apply()
    first_page(world.url, READER)
    return time.monotonic() - begin


def wait_for_instances(world: World, count: int) -> None:
    """Waits until no more containers of the service are there than these."""
    deadline = time.monotonic() + GIVE_UP_S
    while len(daemon.instances(world.home)) > count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"more than {count} containers of the service are left after {GIVE_UP_S} s")
        time.sleep(0.1)


def cold_start(world: World) -> float:
    """Waits until no instance is left; returns the seconds that the next request takes."""
    wait_for_instances(world, 0)
    header = world.bearer()
    begin = time.monotonic()
    httpx.get(f"{world.url}{SEARCH}", headers=header, timeout=GIVE_UP_S).raise_for_status()
    return time.monotonic() - begin


def repeat(times: int, what: str, measure: Callable[[], float]) -> list[float]:
    """Returns the seconds of each time."""
    seconds: list[float] = []
    for _ in range(times):
        seconds.append(measure())
        tell(f"{what}: {seconds[-1]:.2f} s")
    return seconds


def measure(world: World) -> Figures:
    """Runs everything on a deployed world whose instances end soon."""
    applies = repeat(APPLIES, "apply and sign-in", lambda: time_to_first_page(world))
    cold_starts = repeat(COLD_STARTS, "cold start", lambda: cold_start(world))
    # The instance that the load is about must stay.
    world.synthesize(SERVICE__MIN_INSTANCES="1")
    world.tracking.apply()
    wait_for_instances(world, 1)
    bench = Bench.of(world)
    try:
        bench.load(DIRECT, GROWTH_CLIENTS)  # warms up
        loads: dict[int, dict[Point, list[Load]]] = {}
        for clients in CLIENTS:
            rounds = [bench.in_turn(POINTS, clients) for _ in range(ROUNDS)]
            loads[clients] = {point: [load for each in rounds for load in each[point]] for point in POINTS}
            tell(f"{clients} clients: done")
        growth: dict[int, dict[Point, list[Load]]] = {}
        seeded = 0
        for runs in GROWTH:
            begin = time.monotonic()
            seed(bench.database, seeded + 1, runs)
            tell(f"{runs} runs: written in {time.monotonic() - begin:.1f} s")
            growth[seeded := runs] = bench.in_turn((FRONT_DOOR, DIRECT), GROWTH_CLIENTS)
    finally:
        bench.close()
    return Figures(applies=applies, cold_starts=cold_starts, loads=loads, growth=growth, phase=(CALLS, SECONDS))


def main() -> int:
    """Measures, prints and writes."""
    bindings.install(os.environ)
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    world = World(folder, f"--idle={IDLE_S}", SERVICE__MAX_INSTANCES="1")  # what one instance does
    try:
        tell("deploying the demo's document")
        world.deploy()
        figures = measure(world)
    finally:
        world.close()
        shutil.rmtree(folder)
    print(f"\n{service_page.write(figures)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stderr}")
