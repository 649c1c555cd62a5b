"""What benches ask MLflow's own code in the image, beside a database."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.databases import MySql, Postgres
from harness.service import Platform


def asked(platform: Platform, script: Path, uri: str, sockets: Path, *, timeout_s: float) -> dict[str, Any]:
    """Runs a script in a container of the service; returns the JSON object that it prints last.

    Raises:
        RuntimeError: It failed; the message is its log.
    """
    spec = platform.spec(uri, sockets=sockets)
    command = ["-W", "ignore", f"/{script.name}"]
    mounts = {**spec.mounts, script: f"/{script.name}"}
    spec = replace(spec, entrypoint="/opt/mlflow/bin/python", command=command, mounts=mounts)
    status, log = platform.ends(spec, timeout_s=timeout_s)
    if status:
        raise RuntimeError(log)
    return json.loads(next(line for line in reversed(log.splitlines()) if line.startswith("{")))


def versions(postgres: Postgres, mysql: MySql) -> dict[str, str]:
    """Returns what each server calls itself, by the engine."""
    return {
        "postgresql": str(postgres.execute("SHOW server_version")[0][0]).partition(" ")[0],
        "mysql": "MariaDB " + mysql.execute("SELECT VERSION()")[0][0].partition("-")[0],
    }
