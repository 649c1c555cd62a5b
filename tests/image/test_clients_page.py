"""What docs/clients.md tells people to type does what it says, with the client package and the real image."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from harness import google_endpoints as google
from harness.clients import LETS_IN, ROBOT, build_wheel, client_of, installed
from harness.google_endpoints import Google

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.service import Platform

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "clients.md").read_text()
# Everybody may do everything, and in addition the program is in a team.
PERMISSIONS = {"default": "MANAGE", "admins": ["ada@example.com"], "readers": [], "teams": {"vision": [ROBOT]}}
TRACE = Path(__file__).with_name("trace_with_otlp.py")


def block(heading: str) -> str:
    """Returns the only block of a section."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    (found,) = re.findall(r"^```\w+\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return found


@pytest.fixture(scope="module")
def variables(platform: Platform, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A machine with a service account, where the client package, MLflow and OpenTelemetry's exporter are installed."""
    folder = tmp_path_factory.mktemp("clients")
    packages = ["mlflow-skinny==3.17.2", "opentelemetry-exporter-otlp-proto-http"]
    python = installed(folder / "venv", build_wheel(folder / "wheel"), *packages)
    database = platform.postgres.create(template=migrated)
    uri = platform.postgres.uri(database)
    with (
        platform.service(uri, PERMISSIONS=json.dumps(PERMISSIONS), **LETS_IN) as service,
        google.metadata(Google(service.identity)) as there,
    ):
        client = client_of(service.url)
        yield client | there | {"PATH": f"{python.parent}:{client['PATH']}"}


def run(variables: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_two_variables_are_a_shells(variables: dict[str, str]) -> None:
    export = block("What every program needs").splitlines()[1]
    assert run(variables, "bash", "-c", f"{export}; echo $MLFLOW_TRACKING_AUTH").strip() == "google"


def test_python(variables: dict[str, str]) -> None:
    told = f"{block('Python')}\nprint(mlflow.search_runs(output_format='list')[0].info.status)"
    assert run(variables, "python", "-c", told).splitlines()[-1] == "FINISHED"


def test_python_in_a_teams_workspace(variables: dict[str, str]) -> None:
    (said,) = re.findall(r"^```python\n(.*?)^```$", (DOCS / "teams.md").read_text(), re.MULTILINE | re.DOTALL)
    then = "with mlflow.start_run():\n    pass\nprint(mlflow.search_runs(output_format='list')[0].info.artifact_uri)"
    assert "/workspaces/vision/" in run(variables, "python", "-c", f"{said}\n{then}").splitlines()[-1]
    elsewhere = "import mlflow; print([one.name for one in mlflow.search_experiments()])"
    assert "detector" not in run(variables, "python", "-c", elsewhere)
    assert "detector" in run(variables | {"MLFLOW_WORKSPACE": "vision"}, "python", "-c", elsewhere)


def test_a_notebook(variables: dict[str, str]) -> None:
    without = {name: value for name, value in variables.items() if name != "MLFLOW_TRACKING_AUTH"}
    told = f"{block('Notebooks')}\nimport mlflow\nprint(len(mlflow.search_experiments()))"
    assert int(run(without, "python", "-c", told)) >= 1


def test_curl(variables: dict[str, str]) -> None:
    assert '"experiment_id"' in run(variables, "bash", "-c", block("curl"))


def test_opentelemetry(variables: dict[str, str]) -> None:
    run(variables, "bash", "-c", f"{block('OpenTelemetry')}\npython {TRACE}")


def test_javascript(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "experiments.mjs").write_text(block("JavaScript and TypeScript"))
    assert "experiment_id" in run(variables, "node", str(tmp_path / "experiments.mjs"))


@pytest.mark.skipif(not shutil.which("javac"), reason="this machine has no JDK")
def test_java(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "Experiments.java").write_text(block("Java"))
    token = run(variables, "mlflow-google", "token").strip()
    told = run({**variables, "MLFLOW_TRACKING_TOKEN": token}, "java", str(tmp_path / "Experiments.java"))
    assert '"experiment_id"' in told


def test_the_workflow_may_get_a_token_and_names_an_account() -> None:
    job = yaml.safe_load(block("GitHub Actions"))["jobs"]["train"]
    assert job["permissions"]["id-token"] == "write"
    assert any("service_account" in step.get("with", {}) for step in job["steps"])
    assert any(step.get("env", {}).get("MLFLOW_TRACKING_AUTH") == "google" for step in job["steps"])
