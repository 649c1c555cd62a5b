"""The image against its baselines, in one run: start, memory, throughput through the proxy, size.

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
from containers import images
from containers.container import ContainerSpec
from containers.engine import Engine
from harness import local
from harness.load import mixed_calls
from harness.service import PORT, SEARCH, Platform, Service
from image.mlflow_cloudrun import absent

ROUNDS = 5
CALLS, AT_A_TIME = 500, 20
LOAD_SCRIPT = Path(__file__).parent / "load_from_inside.py"
DOCUMENT = Path(__file__).parents[1] / "docs/bench/image.md"
ARTICLE = Path(__file__).parents[1] / "tests/image/article"
GIVE_UP_S = 180
OURS = "ours"
# By the name of the variant: what each baseline is. The first is what `pip install` and the manual give.
PLAIN_WORKERS = {"plain, 4 workers": 4, "plain, 1 worker": 1}
# Proxy, direct, direct, proxy: the database grows, so each goes first as often.
PROXY_FIRST = (0, 3)
# What the image sets for itself and `mlflow server` as it comes does not know; jobs stay off.
PLAIN = """
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


@dataclass(frozen=True)
class Goal:
    """A figure, its baseline, and how they must compare."""

    name: str
    ours: list[float]
    baseline_name: str
    baseline: list[float]
    unit: str
    limit: float
    at_least: bool = False

    def ratio(self) -> float:
        """Returns median over median."""
        return median(self.ours) / median(self.baseline)

    def met(self) -> bool:
        """Returns whether the ratio keeps the limit."""
        return self.ratio() >= self.limit if self.at_least else self.ratio() <= self.limit

    def row(self) -> str:
        """Returns a line of the table: medians with their range."""
        sign = ">=" if self.at_least else "<="
        verdict = "met" if self.met() else "MISSED"
        return (
            f"| {self.name} | {figure(self.ours, self.unit)} | {self.baseline_name}: {figure(self.baseline, self.unit)}"
            f" | {self.ratio():.2f} | {sign} {self.limit:g}: {verdict} |"
        )


def figure(values: list[float], unit: str) -> str:
    """Returns median and range."""
    digits = 2 if unit == "s" else 0
    spread = f" ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else ""
    return f"{median(values):.{digits}f} {unit}{spread}"


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
    return replace(spec, image=image, entrypoint="/bin/bash", command=["-c", PLAIN], environment=environment)


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
    """A load of CALLS calls: calls a second, and CPU milliseconds of the container for each."""

    calls_per_second: float
    cpu_ms: float


def throughput(platform: Platform, spec: ContainerSpec) -> tuple[list[Load], list[Load]]:
    """Loads the service through the proxy and MLflow directly, in turn, from inside its network."""
    through: list[Load] = []
    direct: list[Load] = []
    with platform.running(spec) as container:
        service = Service(container, platform.google.identity)
        service.wait_until_ready()
        token = service.token()
        for number in range(2 * (ROUNDS + 1)):
            port, results = (PORT, through) if number % 4 in PROXY_FIRST else (8080, direct)
            load = ContainerSpec(
                image=platform.image,
                entrypoint="/opt/mlflow/bin/python",
                command=["/load.py", f"http://127.0.0.1:{port}", str(CALLS), str(AT_A_TIME)],
                environment={"TOKEN": token},
                mounts={LOAD_SCRIPT: "/load.py"},
            )
            before = container.cpu_seconds()
            client = platform.engine.start(load, beside=container)
            status, log = client.wait(120), client.logs()
            client.remove()
            if status:
                raise RuntimeError(log)
            results.append(Load(float(log), (container.cpu_seconds() - before) / CALLS * 1000))
    return through[1:], direct[1:]  # the first pair warms up


def starts(platform: Platform, fresh: Callable[[], ContainerSpec]) -> dict[str, list[Start]]:
    """Starts and loads each variant some times, in turn."""
    image = plain_image(platform.engine, platform.image)

    def plain_with(workers: int) -> Callable[[], ContainerSpec]:
        return lambda: plain(fresh(), image, workers)

    variants = {OURS: fresh} | {name: plain_with(workers) for name, workers in PLAIN_WORKERS.items()}
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


def measure(platform: Platform) -> tuple[list[Goal], list[str]]:
    """Runs everything; returns the figures, and the lines that say where a start's time goes."""
    template = local.migrated_database(platform)

    def fresh() -> ContainerSpec:
        return platform.spec(platform.postgres.uri(platform.postgres.create(template=template)))

    results = starts(platform, fresh)
    through, direct = throughput(platform, fresh())
    version = {"MLFLOW_VERSION": images.mlflow_version()}
    article = images.build(platform.engine, context=ARTICLE, name="localhost/article", arguments=version)
    sizes = [platform.engine.image_mib(image) for image in (platform.image, article)]
    goals: list[Goal] = []
    for name in PLAIN_WORKERS:
        seconds, plain_seconds = ([start.seconds for start in results[of]] for of in (OURS, name))
        memory, plain_memory = ([start.memory_mib for start in results[of]] for of in (OURS, name))
        goals.append(Goal("start to first 200", seconds, name, plain_seconds, "s", 0.5))
        goals.append(Goal("memory after the load", memory, name, plain_memory, "MiB", 0.7))
    rates, direct_rates = ([load.calls_per_second for load in loads] for loads in (through, direct))
    goals.append(Goal("requests a second", rates, "MLflow directly", direct_rates, "/s", 0.9, at_least=True))
    goals.append(Goal("image", sizes[:1], "pip install mlflow", sizes[1:], "MiB", 0.5))
    start_cpu = {name: median(start.cpu_seconds for start in of) for name, of in results.items()}
    call_cpu_ms = [median(load.cpu_ms for load in loads) for loads in (through, direct)]
    start_parts = profile.start_section(profile.measure(platform, fresh, ROUNDS), start_cpu)
    return goals, [*start_parts, *profile.call_section(*call_cpu_ms)]


def bar(goal: Goal) -> Bar:
    """Returns the goal as a bar of the chart."""
    value = f"{median(goal.ours):.3g} {goal.unit}"
    return Bar(label=f"{goal.name} / {goal.baseline_name}", share=goal.ratio(), goal=goal.limit, value=value)


def document(goals: list[Goal], parts: list[str], versions: str) -> str:
    """Returns the page with the table."""
    rows = "\n".join(goal.row() for goal in goals)
    sections = "\n".join(parts)
    return f"""\
# The image, measured

By `make bench-image`: {versions}; 1 CPU and 1 GiB a container, PostgreSQL on a
socket. Medians of {ROUNDS} rounds (range), the variants in turn. The load: {CALLS} mixed calls, {AT_A_TIME} at a time.

| figure | ours | baseline | ratio | goal |
| --- | --- | --- | --- | --- |
{rows}

![Each figure as a share of its baseline](image.svg)

What the baselines are:

- *plain, 4 workers*: `mlflow server` in the same image with the packages that ours leaves out
  ({" and ".join(absent.PACKAGES)}), started by start.sh's functions behind the same proxy, with jobs off and everything
  else as it comes, which is 4 workers.
- *plain, 1 worker*: the same with `MLFLOW_WORKERS=1`, the leanest way to run it without this project.
- *MLflow directly*: our container, asked on port 8080 instead of through oauth2-proxy; in both cases by a client
  beside it, which has a CPU of its own.
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
    DOCUMENT.with_suffix(".svg").write_text(draw([bar(goal) for goal in goals], ours="this image"))
    print(f"\n{text}")
    return 0 if all(goal.met() for goal in goals) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stderr}")
