"""MLflow's own client in processes of their own, as people run their trainings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.world import World


def start(world: World, program: str, *arguments: str) -> subprocess.Popen[str]:
    """Starts a program of this folder in the shell of the writer."""
    environment = os.environ | world.client_environment() | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, str(Path(__file__).parent / program), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(program: subprocess.Popen[str]) -> dict[str, Any]:
    """Waits for a program to succeed; returns what it printed last."""
    printed, complaints = program.communicate()
    assert program.returncode == 0, complaints
    return json.loads(printed.splitlines()[-1])


def run(world: World, program: str, *arguments: str) -> dict[str, Any]:
    """Runs a program of this folder; returns what it printed last."""
    return finished(start(world, program, *arguments))
