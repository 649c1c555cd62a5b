"""The client package, as people install it: its wheel, MLflow's old and new clients, the real image and proxy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.background import serving
from localcloud.identity import IdentityProvider
from localcloud.machine.metadata import Metadata, only, variables
from tests.image.harness import SERVICE_ACCOUNT, SERVICE_URL, Service

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("train_with_google.py")
LIFETIME_S = 5
VERSIONS = ("2.8.1", "2.16.2", "3.4.0", "3.17.2")
TOKENS = int(os.environ.get("CLIENT_TOKENS", "3"))
"""How many tokens a training outlives."""


class ShortLived(IdentityProvider):
    """Signs tokens of seconds, with another provider's key; counts them."""

    def __init__(self, other: IdentityProvider) -> None:
        super().__init__(clients=lambda _: None, key=other.key)
        self.signed = 0

    def token(self, *, audience: str, email: str | None, **claims: object) -> str:
        self.signed += 1
        return super().token(audience=audience, email=email, **{"exp": int(time.time()) + LIFETIME_S, **claims})


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "uv",
        "build",
        "--quiet",
        "--wheel",
        "--out-dir",
        str(folder),
        str(CHECKOUT / "client"),
    ]
    subprocess.run(command, check=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def machine(service: Service) -> Iterator[tuple[ShortLived, dict[str, str]]]:
    """A machine whose service account is let in; what it was asked, and the environment of its programs."""
    identity = ShortLived(service.identity)
    server = Metadata(identity, whose=only(SERVICE_ACCOUNT), project="demo-project", number="1", region="europe-west1")
    with serving(server.application()) as port:
        yield (
            identity,
            {
                **variables(f"127.0.0.1:{port}"),
                "MLFLOW_TRACKING_URI": service.url,
                "MLFLOW_TRACKING_AUTH": "google",
                "MLFLOW_GOOGLE_AUDIENCE": SERVICE_URL,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "GIT_PYTHON_REFRESH": "quiet",
                "HOME": os.environ["HOME"],
                "PATH": os.environ["PATH"],
            },
        )


def installed(wheel: Path, version: str) -> Path:
    """Makes an environment with the package and a version of MLflow's client; returns its Python."""
    folder = wheel.parent / version
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    # MLflow 2.8 imports pkg_resources, which newer setuptools do not have.
    packages = [f"mlflow-skinny=={version}", str(wheel), "setuptools<81"]
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(python), *packages], check=True)
    return python


def train(wheel: Path, version: str, variables: dict[str, str], *, threads: int) -> dict[str, Any]:
    """Runs the training with a version of MLflow's client."""
    python = installed(wheel, version)
    command = [str(python), str(PROGRAM), str(TOKENS * LIFETIME_S), str(threads)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_training_outlives_its_tokens(wheel: Path, machine: tuple[ShortLived, dict[str, str]], version: str) -> None:
    identity, variables = machine
    before = identity.signed
    done = train(wheel, version, variables, threads=8)
    print(f"mlflow {done['version']}: {identity.signed - before} tokens, {sum(done['logged'].values())} metrics logged")
    assert done["version"] == version
    assert done["status"] == "FINISHED"
    assert done["stored"] == done["logged"]
    assert done["user"] == SERVICE_ACCOUNT
    assert identity.signed - before > TOKENS
