"""MLflow's own client in processes of their own, as people run their trainings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.e2e.world import World

_TRAIN = Path(__file__).parent / "train.py"


def start_training(world: World, experiment: str, *, rows: int) -> subprocess.Popen[str]:
    """Starts train.py; more rows make a larger model, by some 7 KB each."""
    environment = os.environ | world.client_environment() | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, str(_TRAIN), experiment, str(rows)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(training: subprocess.Popen[str]) -> dict[str, Any]:
    """Waits for a training to succeed; returns what it printed."""
    printed, complaints = training.communicate()
    assert training.returncode == 0, complaints
    return json.loads(printed.splitlines()[-1])


def trained(world: World, experiment: str, *, rows: int) -> dict[str, Any]:
    """Trains; see train.py."""
    return finished(start_training(world, experiment, rows=rows))
