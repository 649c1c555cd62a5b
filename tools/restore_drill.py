"""`make restore-drill`: loses a deployment's runs on this machine, and brings them back by the runbook's own commands.

A local cloud with a deployment whose database is protected as in prod; runs, a model and their files in it; a time;
then more runs, and the disaster: what was there before is deleted for good, by MLflow and by `gc`. All of the runbook's
"To a point in time", "Deleted or overwritten artifacts" and "Back to the instance of the deployment" are run as they
stand on the page. In the end everything is removed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from harness.world import ENVIRONMENT, READER, WRITER, World
from stacks.settings.load import OVERRIDE_PREFIX, load
from tools.runbook import block

CHECKOUT = Path(__file__).parents[1]
RESCUE = "mlflow-db-rescue"
SETTINGS = f"""
profile = "dev"  # prod takes no address of this machine
region = "europe-west4"
jobs = {{{{ enabled = true }}}}
project = {{{{ id = "acme-ml-prod", number = "210987654321" }}}}

[database]
engine = "{{engine}}"
tier = "db-f1-micro"
point_in_time_recovery = true
retain_backups_on_delete = true
deletion_protection = true

[service]
image = "europe-west4-docker.pkg.dev/acme-ml-prod/mlflow/mlflow:drill"
max_instances = 1

[access]
oauth_client_id = "210987654321-drill.apps.googleusercontent.com"
email_domains = ["example.com"]
artifact_writers = {{{{ writer = "user:{WRITER}", reader = "user:{READER}" }}}}
"""
# What somebody's program does; prints what it knows afterwards.
WRITE = """
import json, sys, mlflow
mlflow.set_experiment(sys.argv[1])
class Constant(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return [42]
with mlflow.start_run() as run:
    for step in range(5):
        mlflow.log_metric("loss", 1 / (1 + step), step=step)
    mlflow.log_text("of " + sys.argv[1], "notes.txt")
    model = {"name": "model", "python_model": Constant(), "registered_model_name": sys.argv[1]}
    mlflow.pyfunc.log_model(**model, pip_requirements=[])
print(json.dumps({"run": run.info.run_id, "experiment": run.info.experiment_id}))
"""
DELETE = """
import sys, mlflow
client = mlflow.MlflowClient()
run = client.get_run(sys.argv[1])
client.delete_registered_model(sys.argv[2])
client.delete_run(run.info.run_id)
client.delete_experiment(run.info.experiment_id)
"""
LOOK = """
import json, sys, mlflow
client = mlflow.MlflowClient()
found = {"models": sorted(model.name for model in client.search_registered_models())}
found["experiments"] = sorted(it.name for it in client.search_experiments() if it.name != "Default")
for name in found["experiments"]:
    for run in client.search_runs([client.get_experiment_by_name(name).experiment_id]):
        found[name] = {"run": run.info.run_id, "loss": run.data.metrics["loss"]}
        found[name]["steps"] = len(client.get_metric_history(run.info.run_id, "loss"))
        try:
            found[name]["notes"] = mlflow.artifacts.load_text(run.info.artifact_uri + "/notes.txt")
            found[name]["answer"] = mlflow.pyfunc.load_model("models:/" + name + "/1").predict([[1]])
        except Exception as error:
            found[name]["missing"] = type(error).__name__
print(json.dumps(found))
"""


class DrillError(Exception):
    """Something did not come back, or a command of the page failed."""


class Drill:
    """One rehearsal.

    Attributes:
        world: The deployment.
    """

    def __init__(self, folder: Path, engine: str, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder, say
        self._settings = folder / "environments" / "prod.toml"
        self._settings.parent.mkdir()
        self._settings.write_text(SETTINGS.format(engine=engine))
        (folder / "cdktf.out").symlink_to(folder)
        self.world = World(folder, settings=self._settings)

    def deploy_first(self) -> None:
        """Brings the deployment up."""
        with self._timed("a deployment, from nothing"):
            self.world.deploy()
        programs = self._folder / "bin"
        programs.mkdir()
        # What the page's deploy block synthesizes with, and what opens the settings where the page opens them.
        synthesis = f'exec {sys.executable} -m tools.restore_drill --synthesize "{self._folder}"'
        for name, body in {
            "make": f'cd "{CHECKOUT}" && {synthesis}',
            "editor": f'cp "{self._folder}/next.toml" "$1"',
        }.items():
            (programs / name).write_text(f"#!/bin/sh\n{body}\n")
            (programs / name).chmod(0o700)
        self._environment = {
            **self.world.tracking.environment,
            **{f"{OVERRIDE_PREFIX}{name}": value for name, value in self.world.overrides.items()},
            "PATH": f"{programs}{os.pathsep}{self.world.tracking.environment['PATH']}",
            "EDITOR": str(programs / "editor"),
            "CLOUDSDK_CORE_PROJECT": "acme-ml-prod",
            "CLOUDSDK_RUN_REGION": "europe-west4",
            "MLFLOW_GCP_ENV": "prod",
        }

    def page(self, heading: str, number: int, *, fails: bool = False, **values: str) -> str:
        """Runs a block of the runbook; returns what it printed.

        Args:
            heading: The heading of the block.
            number: Which block under it.
            fails: Whether it has to fail.
            values: Shell variables instead of the page's examples.

        Raises:
            DrillError: It did not end as expected.
        """
        return self._shell(block(heading, number, values), fails=fails, quiet=heading == "Deploy")

    def _shell(self, text: str, *, fails: bool = False, quiet: bool = False) -> str:
        for line in text.strip().splitlines():
            self._say(f"  $ {line}")
        started = time.monotonic()
        shell = ["bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(  # noqa: S603 - the page's own commands
            shell, cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False
        )
        for line in (done.stdout + done.stderr).splitlines() if not quiet else []:
            self._say(f"    {line}")
        self._say(f"    [{time.monotonic() - started:.1f} s]")
        if bool(done.returncode) is not fails:
            raise DrillError(f"status {done.returncode} of:\n{text}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def edit(self, **changes: tuple[str, str]) -> None:
        """Says what the next editor does to the settings: section -> what is written in place of what."""
        text = self._settings.read_text()
        for section, (old, new) in changes.items():
            head, mark, rest = text.partition(f"[{section}]\n")
            text = head + mark + (rest.replace(old, "", 1) if old else rest)
            text = text.replace(mark, f"{mark}{new}", 1)
        (self._folder / "next.toml").write_text(text)

    def deploy(self) -> None:
        """The page's deploy block, and an empty plan after it."""
        self.page("Deploy", 1)
        left = self.world.tracking.terraform("plan", "-detailed-exitcode", "-input=false", "-no-color", ok=False)
        if left.returncode:
            raise DrillError(f"the plan after a deploy is not empty:\n{left.stdout}{left.stderr}")

    def program(self, text: str, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Runs a program of somebody who uses MLflow; returns what it printed last."""
        environment = {**os.environ, **self.world.client_environment(), "MLFLOW_DISABLE_TELEMETRY": "true"}
        command = [sys.executable, "-W", "ignore", "-c", text, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise DrillError(f"a program failed:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout else None

    def gc(self) -> None:
        """Collects at once what was deleted."""
        self._shell("gcloud run jobs execute mlflow-gc --wait --args=gc,--older-than=0s")

    @contextmanager
    def _timed(self, what: str) -> Generator[None]:
        started = time.monotonic()
        self._say(f"{what} ...")
        yield
        self._say(f"{what}: {time.monotonic() - started:.1f} s")


def rehearse(drill: Drill, say: Callable[[str], None]) -> Mapping[str, Any]:
    """Loses and brings back; returns what was there before the loss, and after everything.

    Raises:
        DrillError: Something did not come back.
    """
    drill.deploy_first()
    first = drill.program(WRITE, "before")
    before = drill.program(LOOK)
    say(f"there is: {json.dumps(before)}")
    time.sleep(2)  # MySQL's log has whole seconds
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    time.sleep(2)
    say(f"the time that is wanted back: {when}; then more is written, and the disaster")
    drill.program(WRITE, "after")
    drill.program(DELETE, first["run"], "before")
    drill.gc()
    lost = drill.program(LOOK)
    say(f"there is: {json.dumps(lost)}")
    if lost["experiments"] != ["after"]:
        raise DrillError("the disaster did not happen")

    say("to a point in time")
    drill.page("To a point in time", 1, WHEN=when)
    closed = ("", 'ingress = "INGRESS_TRAFFIC_INTERNAL_ONLY"\n')
    drill.edit(database=("", f'serving_instance = "{RESCUE}"\n'), service=closed)
    drill.page("To a point in time", 2)
    drill.deploy()
    drill.page("To a point in time", 3, fails=True)  # the files of what is back are still deleted
    folder = f"gs://acme-ml-prod-mlflow-artifacts/{first['experiment']}"
    drill.page("Deleted or overwritten artifacts", 1, FOLDER=folder)
    drill.page("To a point in time", 3)
    drill.edit(service=(closed[1], ""))
    (drill.world.folder / "next.toml").replace(drill.world.settings_file)
    drill.deploy()
    back = drill.program(LOOK)
    say(f"there is: {json.dumps(back)}")
    say(f"lost: what was written after {when}: {sorted(set(lost['experiments']) - set(back['experiments']))}")
    drill.program(WRITE, "on the rescue instance")

    say("back to the instance of the deployment")
    drill.edit(database=(f'serving_instance = "{RESCUE}"\n', "rotation = 2\n"))
    drill.page("Back to the instance of the deployment", 1)
    drill.deploy()
    drill.page("Back to the instance of the deployment", 2)
    end = drill.program(LOOK)
    say(f"there is: {json.dumps(end)}")
    for name, found in (("the rescue instance", back), ("the first one", end)):
        if found["before"] != before["before"] or "after" in found["experiments"]:
            raise DrillError(f"{name} does not hold what there was: {found}")
    if end["experiments"] != ["before", "on the rescue instance"]:
        raise DrillError(f"what was written to the rescue instance is lost: {end}")
    return end


def synthesize(folder: Path) -> None:
    """Writes the documents of the drill's settings, as `make synth` does of a checkout's."""
    from stacks.app import synthesize as write  # noqa: PLC0415 - cdktf starts node

    write(load(folder / "environments" / "prod.toml", os.environ), environment=ENVIRONMENT, output=folder)


def run(engine: str, say: Callable[[str], None]) -> None:
    """Rehearses, and removes everything.

    Raises:
        DrillError: Something did not come back.
    """
    folder = Path(tempfile.mkdtemp(prefix="drill-"))
    drill = Drill(folder, engine, say)
    try:
        rehearse(drill, say)
    finally:
        drill.world.close()
        shutil.rmtree(folder)
    say("everything is back, and everything is removed")


def main() -> int:
    """Rehearses; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.restore_drill", description=__doc__)
    parser.add_argument("--engine", choices=("postgresql", "mysql"), default="postgresql")
    parser.add_argument("--synthesize", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    say = partial(print, "[drill]", flush=True)
    if options.synthesize:
        synthesize(options.synthesize)
        return 0
    try:
        run(options.engine, say)
    except DrillError as error:
        say(f"stopped: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
