"""Runs MLflow's own client against the service, as a training would: two variables and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

from harness.service import SERVICE_ACCOUNT, Service

HERE = Path(__file__).parent


def run_script(service: Service, storage_port: int, name: str, *arguments: str) -> None:
    """Runs a script of this folder in a process of its own, with the variables that the documentation names."""
    environment = {
        "MLFLOW_TRACKING_URI": service.url,
        "MLFLOW_TRACKING_TOKEN": service.token(email=SERVICE_ACCOUNT),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{storage_port}",
        "PATH": os.environ["PATH"],
    }
    command = [sys.executable, str(HERE / name), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def use_everything(service: Service, storage_port: int) -> None:
    """Does all that a team does in a day."""
    run_script(service, storage_port, "use_mlflow.py")
