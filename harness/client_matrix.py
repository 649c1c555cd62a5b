"""Prints what becomes of a program, by the credential of its machine and the version of MLflow's client.

`python -m harness.client_matrix [PACKAGE==VERSION ...]` runs it with each package; `make client-matrix` with all.
Each program has the client package's wheel, and meets the real image with its proxy.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from containers.engine import Engine
from harness import local
from harness.clients import (
    LETS_IN,
    MACHINES,
    VERSIONS,
    Machine,
    build_wheel,
    client_of,
    installed,
    standing,
)
from harness.google_endpoints import Google

if TYPE_CHECKING:
    from collections.abc import Iterable

PROGRAM = Path(__file__).with_name("use_google.py")
PACKAGES = (
    *(f"mlflow=={version}" for version in VERSIONS),
    *(f"mlflow-skinny=={version}" for version in VERSIONS),
    # The package exists since 3.0.
    *(f"mlflow-tracing=={version}" for version in VERSIONS[2:]),
)
LIMIT_S = 300


def outcome(python: Path, machine: Machine, variables: dict[str, str]) -> str:
    """Runs the program on a machine; returns `as expected` and what it saw, or what went wrong."""
    done = subprocess.run(
        [str(python), str(PROGRAM)], env=variables, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    if not machine.address:
        told = done.returncode and machine.said in done.stderr
        return "one clear sentence" if told else f"no word: {done.stderr[-300:]}"
    if done.returncode:
        return f"failed: {done.stderr[-300:]}"
    seen = json.loads(done.stdout.splitlines()[-1])
    whose = f", by {seen['user'].split('@')[0]}" if seen["user"] else ""
    return f"{seen['status']}{whose}" if seen["user"] in {machine.address, ""} else f"wrong user {seen['user']}"


def expected(package: str, machine: Machine) -> str:
    """Returns the outcome that is right."""
    if not machine.address:
        return "one clear sentence"
    traces = package.startswith("mlflow-tracing")
    return "trace OK" if traces else f"FINISHED, by {machine.address.split('@')[0]}"


def table(outcomes: dict[tuple[str, str], str], packages: Iterable[str]) -> str:
    """Returns the outcomes as a table for people."""
    packages = list(packages)
    lines = [["credential", *packages], ["---"] * (len(packages) + 1)]
    lines += [[machine.credential, *(outcomes[machine.credential, name] for name in packages)] for machine in MACHINES]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def run(url: str, cloud: Google, packages: Iterable[str], folder: Path) -> dict[tuple[str, str], str]:
    """Runs every package on every machine, two programs at a time; returns the outcomes."""
    wheel = build_wheel(folder / "wheel")
    pythons = {name: installed(folder / name, wheel, name) for name in packages}
    outcomes: dict[tuple[str, str], str] = {}
    for number, machine in enumerate(MACHINES):
        with standing(machine, cloud, folder / f"machine{number}") as found, ThreadPoolExecutor(2) as pool:
            variables = client_of(url) | found
            running = {name: pool.submit(outcome, python, machine, variables) for name, python in pythons.items()}
            outcomes |= {(machine.credential, name): future.result() for name, future in running.items()}
    return outcomes


def main(packages: list[str]) -> int:
    """Prints the table; returns 1 if an outcome is not the right one."""
    packages = packages or list(PACKAGES)
    with local.platform(Engine()) as platform, tempfile.TemporaryDirectory() as folder:
        uri = platform.postgres.uri(local.migrated_database(platform))
        with replace(platform, environment=LETS_IN).service(uri) as service:
            outcomes = run(service.url, Google(service.identity), packages, Path(folder))
    print(table(outcomes, packages))
    wrong = [
        f"{machine.credential}, {name}: {outcomes[machine.credential, name]}"
        for machine in MACHINES
        for name in packages
        if outcomes[machine.credential, name] != expected(name, machine)
    ]
    print("\n".join(wrong), file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
