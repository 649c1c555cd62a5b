"""The client package, as people install it: its wheel, MLflow's old and new clients, the real image and proxy."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import client_matrix
from harness import google_endpoints as google
from harness.clients import LETS_IN, MACHINES, VERSIONS, Switch, build_wheel, client_of, installed
from harness.google_endpoints import ROBOT, Google
from harness.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.service import Platform, Service

PROGRAM = Path(__file__).with_name("train_with_google.py")
TRACE = Path(__file__).with_name("trace_with_otlp.py")
LIFETIME_S = 5
TOKENS = int(os.environ.get("CLIENT_TOKENS", "6"))
"""How many tokens a training outlives, at least."""
AWAY_S = 20 if TOKENS >= 50 else 8  # longer than a token lives
THREADS, PAUSE_S = 8, 0.5
HEALED_S = 120


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def settings(wheel: Path) -> dict[str, str]:
    """What `mlflow-google env` advises, by the package that the wheel has."""
    command = [sys.executable, "-m", "mlflow_google.cli", "env", "http://127.0.0.1"]
    done = subprocess.run(command, env={"PYTHONPATH": str(wheel)}, capture_output=True, text=True, check=True)
    lines = (line.removeprefix("export ") for line in done.stdout.splitlines() if line.startswith("export "))
    return dict(line.split("=", 1) for line in lines)


@dataclass
class World:
    """A service whose instances come and go behind one address, and trainings that use it.

    Attributes:
        log: What happened, with the time of each.
    """

    platform: Platform
    database: str
    switch: Switch
    cloud: Google
    log: list[str] = field(default_factory=list)
    begin: float = field(default_factory=time.monotonic)
    instances: list[ExitStack] = field(default_factory=list)
    instance: Service | None = None

    def say(self, text: str) -> None:
        """Notes what happens."""
        self.log.append(f"{time.monotonic() - self.begin:6.1f} s  {text}")

    def start(self) -> Service:
        """Starts an instance and leads the address to it."""
        stack = ExitStack()
        self.instances.append(stack)
        uri = self.platform.postgres.uri(self.database)
        self.instance = stack.enter_context(self.platform.service(uri, **LETS_IN))
        self.switch.target = int(self.instance.url.rpartition(":")[2])
        return self.instance

    def roll_out(self) -> None:
        """Starts another instance, leads the address to it, and ends the old one as Cloud Run does."""
        old = self.instance
        assert old
        self.start()
        self.say("rollout: another instance serves; the old one is told to end")
        old.container.stop()
        self.say("rollout: the old instance has ended")

    def kill(self) -> None:
        """Kills the only instance, and starts another one."""
        assert self.instance
        self.switch.target = None
        self.instance.container.signal("KILL")
        self.say("kill: the only instance is gone")
        self.start()
        self.say("kill: another instance serves")

    def restart_database(self) -> None:
        """Ends the database, and starts it again some seconds later."""
        self.platform.postgres.stop()
        self.say("database: stopped")
        time.sleep(5)  # Cloud SQL's own takes longer; the client's patience is for minutes
        self.platform.postgres.start()
        self.say("database: started")

    def lose_google(self) -> None:
        """The token endpoint does not answer for longer than a token lives."""
        self.cloud.away.set()
        self.say(f"token endpoint: away for {AWAY_S} s")
        time.sleep(AWAY_S)
        self.cloud.away.clear()
        self.say("token endpoint: back")


@pytest.fixture
def world(platform: Platform, database: str) -> Iterator[World]:
    switch, cloud = Switch(), Google(platform.google.identity, lifetime_s=LIFETIME_S)
    world = World(platform, database, switch, cloud)
    try:
        world.start()
        yield world
    finally:
        for stack in world.instances:
            stack.close()


class Training:
    """A program that trains, with one version of MLflow's client."""

    def __init__(self, python: Path, variables: dict[str, str], folder: Path, end: Path) -> None:
        self.errors = folder / "stderr"
        command = [str(python), str(PROGRAM), str(TOKENS * LIFETIME_S), str(THREADS), str(PAUSE_S), str(end)]
        with self.errors.open("w") as file:
            self._program = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=file, text=True)

    def acknowledged(self) -> int:
        """Returns how many writes it says were acknowledged so far."""
        lines = self.errors.read_text().splitlines()
        counts = [int(line.split(": ")[1]) for line in lines if re.fullmatch(r"[\d.]+: \d+", line)]
        return counts[-1] if counts else 0

    @property
    def running(self) -> bool:
        return self._program.poll() is None

    def kill(self) -> None:
        self._program.kill()

    def result(self) -> dict[str, Any]:
        """Waits for its end; returns what it found."""
        printed, _ = self._program.communicate(timeout=600)
        assert self._program.returncode == 0, self.errors.read_text()[-3000:]
        return json.loads(printed.splitlines()[-1])


def test_trainings_outlive_their_tokens_and_all_that_breaks_meanwhile(
    world: World, wheel: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    pythons = [installed(tmp_path / version, wheel, f"mlflow-skinny=={version}") for version in VERSIONS]
    with world.switch.standing() as url, google.metadata(world.cloud) as there:
        variables = client_of(url) | there | {name: value for name, value in settings.items() if "HTTP" in name}
        end = tmp_path / "end"
        trainings = [Training(python, variables, python.parents[1], end) for python in pythons]
        world.begin = time.monotonic()
        try:
            for what in (world.lose_google, world.roll_out, world.restart_database, world.kill, None):
                before = [training.acknowledged() for training in trainings]
                wait_for(
                    lambda before=before: (
                        all(
                            training.acknowledged() > count + THREADS
                            for training, count in zip(trainings, before, strict=True)
                        )
                        or not all(training.running for training in trainings)
                    ),
                    "every training writes",
                    deadline_s=HEALED_S,
                )
                world.say(f"acknowledged: {[training.acknowledged() for training in trainings]}")
                assert all(training.running for training in trainings), [t.errors.read_text() for t in trainings]
                if what:
                    what()
            end.touch()
            results = [training.result() for training in trainings]
            world.say(f"the end: {world.cloud.signed} tokens of {LIFETIME_S} s were given")
        finally:
            print("\n".join(world.log))
            for training in trainings:
                training.kill()
    assert world.cloud.signed >= TOKENS * len(VERSIONS)
    for result in results:
        print(result)
        assert (result["status"], result["user"]) == ("FINISHED", ROBOT)
        assert result["lost"] == []
        assert result["doubled"] == 0


@pytest.fixture(scope="module")
def open_service(platform: Platform, migrated: str) -> Iterator[Service]:
    """A service that lets every machine's program in."""
    database = platform.postgres.create(template=migrated)
    with platform.service(platform.postgres.uri(database), **LETS_IN) as service:
        yield service


def test_every_credential_gives_what_it_should(open_service: Service, tmp_path: Path) -> None:
    packages = ["mlflow-skinny==3.17.2", "mlflow-tracing==3.17.2"]  # `make client-matrix` tries all
    outcomes = client_matrix.run(open_service.url, Google(open_service.identity), packages, tmp_path)
    print(client_matrix.table(outcomes, packages))
    assert outcomes == {
        (machine.credential, package): client_matrix.expected(package, machine)
        for machine in MACHINES
        for package in packages
    }


def test_opentelemetrys_own_exporter_sends_traces(open_service: Service, wheel: Path, tmp_path: Path) -> None:
    python = installed(tmp_path / "otlp", wheel, "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
    with google.metadata(Google(open_service.identity)) as there:
        variables = {
            **client_of(open_service.url),
            **there,
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{open_service.url}/v1/traces",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-mlflow-experiment-id=0",
            "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER": "google",
        }
        done = subprocess.run(
            [str(python), str(TRACE)], env=variables, capture_output=True, text=True, check=False, timeout=120
        )
    assert done.returncode == 0, done.stderr
    body = {"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]}
    found = open_service.http.post("/api/3.0/mlflow/traces/search", json=body, headers=open_service.bearer())
    assert len(found.json()["traces"]) == 1


def test_a_broken_installation_is_no_silent_401(open_service: Service, wheel: Path, tmp_path: Path) -> None:
    python = installed(tmp_path / "broken", wheel, "mlflow-skinny==3.17.2")
    (package,) = (tmp_path / "broken" / "lib").glob("python*/site-packages/google/auth")
    shutil.rmtree(package)
    with google.metadata(Google(open_service.identity)) as there:
        variables = client_of(open_service.url) | there
        command = [str(python), "-c", "import mlflow; print('imported'); mlflow.search_experiments()"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "imported" in done.stdout
    assert "google.auth" in done.stderr.splitlines()[-1]
