"""The image against its baselines, in one run: start, memory, throughput through the proxy, size.

Baselines: `mlflow server` as it comes (4 workers) and with one worker, jobs off, in the same image behind the same
proxy; MLflow asked directly; the article's image (`pip install mlflow`). Prints the table and rewrites
docs/bench/image.md and its chart.
"""

import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.chart import Bar, draw
from localcloud import images
from localcloud.engine import ContainerSpec, Engine
from tests.image import local
from tests.image.harness import PORT, SEARCH, Platform, Service
from tests.image.load import mixed_calls

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
CALLS, AT_A_TIME = 500, 20
LOAD_SCRIPT = Path(__file__).parent / "load_from_inside.py"
DOCUMENT = Path(__file__).parents[1] / "docs/bench/image.md"
ARTICLE = Path(__file__).parents[1] / "tests/image/article"
GIVE_UP_S = 180
# Proxy, direct, direct, proxy: the database grows, so each goes first as often.
PROXY_FIRST = (0, 3)
IMPORTS = "import uvicorn, mlflow_cloudrun.database, mlflow.cli, mlflow.server.fastapi_app"
# What the image sets for itself and `mlflow server` as it comes does not know; jobs stay off.
PLAIN = """
unset MLFLOW_UVICORN_OPTS MALLOC_ARENA_MAX MLFLOW_SQLALCHEMYSTORE_{POOL_SIZE,MAX_OVERFLOW,POOL_RECYCLE}
export MLFLOW_WORKERS=$WORKERS MLFLOW_BACKEND_STORE_URI=$BACKEND_STORE_URI
export MLFLOW_DEFAULT_ARTIFACT_ROOT=$DEFAULT_ARTIFACT_ROOT
source /opt/image/start.sh
check_environment serve
mlflow server &
mlflow=$!
wait_until_mlflow_answers
start_proxy
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
        """Tells whether the ratio keeps the limit."""
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


def plain(spec: ContainerSpec, workers: int) -> ContainerSpec:
    """Returns the same container with `mlflow server` as it comes."""
    environment = {**spec.environment, "WORKERS": str(workers)}
    return replace(spec, entrypoint="/bin/bash", command=["-c", PLAIN], environment=environment)


def start_and_load(platform: Platform, spec: ContainerSpec) -> tuple[float, float]:
    """Returns seconds from the engine's call to the first 200 with a token, and MiB after the load."""
    begin = time.monotonic()
    with platform.running(spec) as container:
        service = Service(container, platform.google.identity)
        header = service.bearer()
        while not (service.ready() and service.http.get(SEARCH, headers=header).is_success):
            if time.monotonic() - begin > GIVE_UP_S or not container.running:
                raise TimeoutError(f"not ready: {container.logs()[-2000:]}")
            time.sleep(0.02)
        seconds = time.monotonic() - begin
        mixed_calls(service, calls=CALLS, at_a_time=AT_A_TIME)
        return seconds, container.memory_mib()


def throughput(platform: Platform, spec: ContainerSpec) -> tuple[list[float], list[float]]:
    """Returns requests per second through the proxy and to MLflow directly, in turn, asked from inside its network."""
    through: list[float] = []
    direct: list[float] = []
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
            client = platform.engine.start(load, beside=container)
            status, log = client.wait(120), client.logs()
            client.remove()
            if status:
                raise RuntimeError(log)
            results.append(float(log))
    return through[1:], direct[1:]  # the first pair warms up


def measure(platform: Platform) -> list[Goal]:
    """Runs everything, the variants in turn."""
    template = local.migrated_database(platform)

    def fresh() -> ContainerSpec:
        return platform.spec(platform.postgres.uri(platform.postgres.create(template=template)))

    variants: dict[str, Callable[[], ContainerSpec]] = {
        "ours": fresh,
        "plain, 4 workers": lambda: plain(fresh(), 4),
        "plain, 1 worker": lambda: plain(fresh(), 1),
    }
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for number in range(ROUNDS):
        for name, spec in variants.items():
            results[name].append(start_and_load(platform, spec()))
            print(
                f"round {number + 1}, {name}: {results[name][-1][0]:.2f} s, {results[name][-1][1]:.0f} MiB", flush=True
            )
    through, direct = throughput(platform, fresh())
    version = {"MLFLOW_VERSION": images.mlflow_version()}
    article = images.build(platform.engine, context=ARTICLE, name="localhost/article", arguments=version)
    sizes = [platform.engine.image_mib(image) for image in (platform.image, article)]
    ours = results["ours"]
    goals: list[Goal] = []
    for name in ("plain, 4 workers", "plain, 1 worker"):
        base = results[name]
        goals.append(Goal("start to first 200", [s for s, _ in ours], name, [s for s, _ in base], "s", 0.5))
        goals.append(Goal("memory after the load", [m for _, m in ours], name, [m for _, m in base], "MiB", 0.7))
    goals.append(Goal("requests a second", through, "MLflow directly", direct, "/s", 0.9, at_least=True))
    goals.append(Goal("image", sizes[:1], "pip install mlflow", sizes[1:], "MiB", 0.5))
    return goals


def bar(goal: Goal) -> Bar:
    """Returns the goal as a bar of the chart."""
    value = f"{median(goal.ours):.3g} {goal.unit}"
    return Bar(label=f"{goal.name} / {goal.baseline_name}", share=goal.ratio(), goal=goal.limit, value=value)


def phases(platform: Platform) -> list[str]:
    """Returns where a start's time goes: each part run alone in a container with one CPU, medians of ROUNDS."""
    python = "/opt/mlflow/bin/python"
    scripts = {
        "an empty container": "true",
        "check of the environment": f"{python} -m mlflow_cloudrun.settings gc /tmp/none || true",
        "imports of MLflow and its server": f"{python} -W ignore -c 'import gc; gc.disable(); {IMPORTS}'",
    }
    lines: list[str] = []
    options = ["--rm", "--network=none", "--cpus=1", "--entrypoint=/bin/bash", platform.image, "-c"]
    for name, script in scripts.items():
        times: list[float] = []
        for _ in range(ROUNDS):
            begin = time.monotonic()
            platform.engine.run("run", *options, script)
            times.append(time.monotonic() - begin)
        lines.append(f"| {name}{'' if script == 'true' else ', container included'} | {figure(times, 's')} |")
    return lines


def document(goals: list[Goal], parts: list[str], versions: str) -> str:
    """Returns the page with the table."""
    lines = [
        "# The image, measured",
        "",
        f"By `make bench-image`: {versions}; 1 CPU and 1 GiB a container, PostgreSQL on a socket, median of {ROUNDS}",
        f"(range), variants in turn. The load is {CALLS} mixed calls, {AT_A_TIME} at a time. Plain is `mlflow server`",
        "with jobs off in the same image behind the same proxy.",
        "",
        "| figure | ours | baseline | ratio | goal |",
        "| --- | --- | --- | --- | --- |",
        *(goal.row() for goal in goals),
        "",
        "![Each figure as a share of its baseline](image.svg)",
        "",
        "## Where a start's time goes",
        "",
        "| part, alone | time |",
        "| --- | --- |",
        *parts,
        "",
        "The rest of a start is the check of the schema and the first request. `mlflow server` with one worker imports",
        "twice, in the parent and in its child. Ours imports once: to halve that baseline, too, MLflow itself would",
        "have to import less.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Measures, prints and writes; returns 1 when a goal is missed."""
    with local.platform(Engine()) as platform:
        said = platform.engine.run("run", "--rm", "--network=none", platform.image, "version").splitlines()
        goals, parts = measure(platform), phases(platform)
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
