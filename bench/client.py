"""The cost of the client package, against a static token in the same run; `make bench-client` rewrites its page."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from harness import gate
from harness import google_endpoints as google
from harness.clients import VERSIONS, build_wheel, client_of, installed
from harness.google_endpoints import ROBOT, Google
from localcloud.machine.identity import IdentityProvider

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).parent.parent
PAGE = CHECKOUT / "docs" / "bench" / "client.md"
SCRIPT = Path(__file__).with_name("client_calls.py")
ROUNDS, CALLS = 9, 300
PACKAGE = f"mlflow-skinny=={VERSIONS[-1]}"
HEAD = f"""\
# The client package, measured

By `make bench-client`: {PACKAGE}, Python {sys.version.split()[0]}, a server on the same machine that only looks at the
token, and a metadata server. Medians of {ROUNDS} rounds (range), the variants in turn; {CALLS} requests a round.
In milliseconds.

| figure | static token, without the package | static token | `MLFLOW_TRACKING_AUTH=google` |
| --- | --- | --- | --- |
"""
TAIL = """
The first request looks for the credential and gets a token; the others find it in memory.
"""

Figures = dict[str, float]


def measured(python: Path, variables: Mapping[str, str]) -> Figures:
    """Runs the program once; returns its figures in milliseconds."""
    command = [str(python), str(SCRIPT), str(CALLS)]
    done = subprocess.run(command, env=dict(variables), capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def figure(values: list[float]) -> str:
    """Returns the median, and the range."""
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    """Measures, prints the page and writes it."""
    cloud = Google(IdentityProvider(clients=lambda _: None))
    with tempfile.TemporaryDirectory() as name, gate.standing() as (_, url), google.metadata(cloud) as there:
        folder = Path(name)
        wheel = build_wheel(folder / "wheel")
        with_package, without = (installed(folder / kind, wheel, PACKAGE) for kind in ("with", "without"))
        subprocess.run(
            [sys.executable, "-m", "uv", "pip", "uninstall", "--quiet", "--python", str(without), "mlflow-google"],
            check=True,
        )
        token = cloud.token(url, ROBOT)
        common = client_of(url) | there
        static = {**common, "MLFLOW_TRACKING_AUTH": "", "MLFLOW_TRACKING_TOKEN": token}
        variants = ((without, static), (with_package, static), (with_package, common))
        rounds = [[measured(*variant) for variant in variants] for _ in range(ROUNDS)]
    lines = [
        f"| {name} | {' | '.join(figure([one[number][name] for one in rounds]) for number in range(len(variants)))} |\n"
        for name in rounds[0][0]
    ]
    page = f"{HEAD}{''.join(lines)}{TAIL}"
    PAGE.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
