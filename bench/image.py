"""The image against its baselines, in one run: start, memory, calls a second, CPU of a call, size.

Prints the table and rewrites docs/bench/image.md, which says what each baseline is, and its chart.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import profile
from bench.chart import Bar, draw
from bench.goals import Bound, Goal
from containers import images
from containers.container import ContainerSpec
from containers.engine import Engine
from harness import local
from harness.load import mixed_calls
from harness.service import PORT, SEARCH, Platform, Service
from image.mlflow_cloudrun import absent

ROUNDS = 5
CALLS, AT_A_TIME = 500, 20
CLIENTS = (8, 32)
DIRECT_PORT = 8080
LOAD_SCRIPT = Path(__file__).parent / "load_from_inside.py"
DOCUMENT = Path(__file__).parents[1] / "docs/bench/image.md"
ARTICLE = Path(__file__).parents[1] / "tests/image/article"
GIVE_UP_S = 180
OURS = "ours"
# By the name of the variant: its workers, and how much of its start and of its memory ours may take. The first is what
# `pip install` and the manual give.
PLAIN = {"plain, 4 workers": (4, 0.5, 0.7), "plain, 1 worker": (1, 0.35, 0.7)}
DIRECT = "`mlflow server` directly"
MOST_CPU, LEAST_CALLS = 0.7, 1.3
MOST_MEMORY_MIB, MOST_IMAGE_MIB = 190, 380
# What the image sets for itself and `mlflow server` as it comes does not know; jobs stay off.
PLAIN_SCRIPT = """
unset MLFLOW_UVICORN_OPTS MALLOC_ARENA_MAX MLFLOW_SQLALCHEMYSTORE_{POOL_SIZE,MAX_OVERFLOW,POOL_RECYCLE}
source /opt/image/start.sh
check_environment serve
export MLFLOW_WORKERS=$WORKERS MLFLOW_BACKEND_STORE_URI=$BACKEND_STORE_URI
export MLFLOW_DEFAULT_ARTIFACT_ROOT=$DEFAULT_ARTIFACT_ROOT
mlflow server &
mlflow=$!
wait_until_mlflow_answers
start_proxy
wait_until_proxy_listens
start_edge
wait -n
"""


def plain_image(engine: Engine, image: str) -> str:
    """Builds our image with the packages that it leaves out though `mlflow server` imports them; returns its name."""
    name = f"{image.rpartition(':')[0]}/plain:{image.rpartition(':')[2]}"
    with TemporaryDirectory() as folder:
        context = Path(folder)
        target = [
            "--python-version=3.13",
            "--python-platform=x86_64-manylinux_2_28",
            f"--target={context / 'packages'}",
        ]
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--only-binary=:all:", *target]
        subprocess.run([*command, *absent.PACKAGES], check=True)
        packages = "/opt/mlflow/lib/python3.13/site-packages"
        lines = (f"FROM {image}", "USER root", f"COPY packages {packages}", f"RUN python -m compileall -q {packages}")
        (context / "Dockerfile").write_text("\n".join([*lines, "USER 10001:10001\n"]))
        engine.build(context, name, arguments={}, pull=False)
    return name


def plain(spec: ContainerSpec, image: str, workers: int) -> ContainerSpec:
    """Returns the same container with `mlflow server` as it comes."""
    environment = {**spec.environment, "WORKERS": str(workers)}
    return replace(spec, image=image, entrypoint="/bin/bash", command=["-c", PLAIN_SCRIPT], environment=environment)


@dataclass(frozen=True)
class Start:
    """One start: seconds from the engine's call to the first 200 with a token, CPU until then, MiB after the load."""

    seconds: float
    cpu_seconds: float
    memory_mib: float


def start_and_load(platform: Platform, spec: ContainerSpec) -> Start:
    """Starts a container, waits for its first answer, loads it."""
    begin = time.monotonic()
    with platform.running(spec) as container:
        service = Service(container, platform.google.identity)
        header = service.bearer()
        while not (service.ready() and service.http.get(SEARCH, headers=header).is_success):
            if time.monotonic() - begin > GIVE_UP_S or not container.running:
                raise TimeoutError(f"not ready: {container.logs()[-2000:]}")
            time.sleep(0.02)
        seconds, cpu_seconds = time.monotonic() - begin, container.cpu_seconds()
        mixed_calls(service, calls=CALLS, at_a_time=AT_A_TIME)
        return Start(seconds, cpu_seconds, container.memory_mib())


@dataclass(frozen=True)
class Load:
    """A load of CALLS calls: answers of 200 a second, other answers, and the container's CPU milliseconds a call."""

    calls_per_second: float
    failed: int
    cpu_ms: float


def load(platform: Platform, service: Service, port: int, clients: int) -> Load:
    """Loads a port of a service from inside its network, by a client with a CPU of its own."""
    spec = ContainerSpec(
        image=platform.image,
        entrypoint="/opt/mlflow/bin/python",
        command=["/load.py", f"http://127.0.0.1:{port}", str(CALLS), str(clients)],
        environment={"TOKEN": service.token()},
        mounts={LOAD_SCRIPT: "/load.py"},
    )
    before = service.container.cpu_seconds()
    client = platform.engine.start(spec, beside=service.container)
    status, log = client.wait(GIVE_UP_S), client.logs()
    client.remove()
    if status:
        raise RuntimeError(log)
    rate, failed = log.split()
    return Load(float(rate), int(failed), (service.container.cpu_seconds() - before) / CALLS * 1000)


def loads(
    platform: Platform, fresh: Callable[[], ContainerSpec], plain_spec: Callable[[], ContainerSpec]
) -> dict[int, tuple[list[Load], list[Load]]]:
    """Loads ours through the proxy and `mlflow server` directly, in turn; returns both by the number of clients."""
    found: dict[int, tuple[list[Load], list[Load]]] = {clients: ([], []) for clients in CLIENTS}
    with platform.running(fresh()) as one, platform.running(plain_spec()) as other:
        sides = [
            (Service(container, platform.google.identity), port, number)
            for number, (container, port) in enumerate(((one, PORT), (other, DIRECT_PORT)))
        ]
        for service, port, _ in sides:
            service.wait_until_ready()
            load(platform, service, port, CLIENTS[0])  # warms up
        for turn in range(ROUNDS):
            for clients, results in found.items():
                for service, port, number in reversed(sides) if turn % 2 else sides:
                    results[number].append(load(platform, service, port, clients))
                    print(f"round {turn + 1}, {clients} clients, port {port}: {results[number][-1]}", flush=True)
    return found


def starts(platform: Platform, variants: dict[str, Callable[[], ContainerSpec]]) -> dict[str, list[Start]]:
    """Starts and loads each variant some times, in turn."""
    results: dict[str, list[Start]] = {name: [] for name in variants}
    for number in range(ROUNDS):
        for name, spec in variants.items():
            start = start_and_load(platform, spec())
            results[name].append(start)
            print(
                f"round {number + 1}, {name}: {start.seconds:.2f} s ({start.cpu_seconds:.2f} s of CPU), "
                f"{start.memory_mib:.0f} MiB",
                flush=True,
            )
    return results


def measure(platform: Platform) -> tuple[list[Goal | Bound], list[str]]:
    """Runs everything; returns the figures, and the lines that say where a start's time goes."""
    template = local.migrated_database(platform)

    def fresh() -> ContainerSpec:
        return platform.spec(platform.postgres.uri(platform.postgres.create(template=template)))

    built = plain_image(platform.engine, platform.image)

    def plain_with(workers: int) -> Callable[[], ContainerSpec]:
        return lambda: plain(fresh(), built, workers)

    variants = {OURS: fresh} | {name: plain_with(workers) for name, (workers, *_) in PLAIN.items()}
    results = starts(platform, variants)
    by_clients = loads(platform, fresh, plain_with(1))
    version = {"MLFLOW_VERSION": images.mlflow_version()}
    article = images.build(platform.engine, context=ARTICLE, name="localhost/article", arguments=version)
    sizes = [platform.engine.image_mib(image) for image in (platform.image, article)]
    goals: list[Goal | Bound] = []
    for name, (_, most_of_start, most_of_memory) in PLAIN.items():
        seconds, plain_seconds = ([start.seconds for start in results[of]] for of in (OURS, name))
        memory, plain_memory = ([start.memory_mib for start in results[of]] for of in (OURS, name))
        goals.append(Goal("start to first 200", seconds, name, plain_seconds, "s", most_of_start))
        goals.append(Goal("memory after the load", memory, name, plain_memory, "MiB", most_of_memory))
    for clients, sides in by_clients.items():
        cpu, direct_cpu = ([load.cpu_ms for load in side] for side in sides)
        goals.append(Goal(f"CPU of a call, {clients} clients", cpu, DIRECT, direct_cpu, "ms", MOST_CPU))
        rates, direct_rates = ([load.calls_per_second for load in side] for side in sides)
        goals.append(
            Goal(f"calls a second, {clients} clients", rates, DIRECT, direct_rates, "/s", LEAST_CALLS, at_least=True)
        )
    goals.append(Goal("image", sizes[:1], "pip install mlflow", sizes[1:], "MiB", 0.5))
    goals.append(Bound("memory after the load", [start.memory_mib for start in results[OURS]], "MiB", MOST_MEMORY_MIB))
    goals.append(Bound("image", sizes[:1], "MiB", MOST_IMAGE_MIB))
    start_cpu = {name: median(start.cpu_seconds for start in of) for name, of in results.items()}
    start_parts = profile.start_section(profile.measure(platform, fresh, ROUNDS), start_cpu)
    return goals, [*start_parts, failures(by_clients)]


def failures(by_clients: dict[int, tuple[list[Load], list[Load]]]) -> str:
    """Says how many calls of the loads were not answered 200."""
    both = [[load for sides in by_clients.values() for load in sides[side]] for side in (0, 1)]
    ours, direct = (sum(load.failed for load in of) for of in both)
    calls = CALLS * len(both[0])
    return f"\nOf {calls} calls each, ours answered {ours} otherwise than with 200, `mlflow server` {direct}.\n"


def bar(goal: Goal) -> Bar:
    """Returns the goal as a bar of the chart."""
    value = f"{median(goal.ours):.3g} {goal.unit}"
    return Bar(label=f"{goal.name} / {goal.baseline_name}", share=goal.ratio(), goal=goal.limit, value=value)


def document(goals: list[Goal | Bound], parts: list[str], versions: str) -> str:
    """Returns the page with the table."""
    rows = "\n".join(goal.row() for goal in goals)
    sections = "\n".join(parts)
    return f"""\
# The image, measured

By `make bench-image`: {versions}; 1 CPU and 1 GiB a container, PostgreSQL on a
socket. Medians of {ROUNDS} rounds (range), the variants in turn. The load: {CALLS} mixed calls, {AT_A_TIME} at a time
before the memory is read, else by as many clients as the row says.

| figure | ours | baseline | ratio | goal |
| --- | --- | --- | --- | --- |
{rows}

![Each figure as a share of its baseline](image.svg)

What the baselines are:

- *plain, 4 workers*: `mlflow server` in the same image with the packages that ours leaves out
  ({" and ".join(absent.PACKAGES)}), started by start.sh's functions behind the same proxy, with jobs off and everything
  else as it comes, which is 4 workers.
- *plain, 1 worker*: the same with `MLFLOW_WORKERS=1`, the leanest way to run it without this project.
- *{DIRECT}*: *plain, 1 worker*, asked on its own port instead of through the proxy; ours is asked through HAProxy and
  oauth2-proxy, whose CPU time counts. In both cases the client beside it has a CPU of its own.
- *pip install mlflow*: the article's image with today's MLflow. It has no other row: in 1 GiB it does not get ready
  ([test_memory.py](../../tests/image/test_memory.py)).

{sections}"""


def main() -> int:
    """Measures, prints and writes; returns 1 when a goal is missed."""
    with local.platform(Engine()) as platform:
        said = platform.engine.run("run", "--rm", "--network=none", platform.image, "version").splitlines()
        goals, parts = measure(platform)
    DOCUMENT.parent.mkdir(exist_ok=True)
    text = document(goals, parts, ", ".join(line.partition(" (")[0] for line in said))
    DOCUMENT.write_text(text)
    DOCUMENT.with_suffix(".svg").write_text(
        draw([bar(goal) for goal in goals if isinstance(goal, Goal)], ours="this image")
    )
    print(f"\n{text}")
    return 0 if all(goal.met() for goal in goals) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stderr}")
