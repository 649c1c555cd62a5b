"""Synthesis of both stacks: CPU time against the same program with the plain bindings, in pairs.

CPU time is that of the Python process and of the node process which it starts and waits for. The first pair warms the
caches and is not counted.
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from stacks import bindings

CHECKOUT = Path(__file__).parents[1]
PAIRS = 7
GOAL = 8
"""How many times less CPU time synthesis takes than with the plain bindings, at least."""


class Run(NamedTuple):
    """The duration of one run, in seconds."""

    cpu: float
    wall: float


def synthesize(*, lazy: bool) -> Run:
    """Runs main.py once."""
    environ = os.environ | {"MLFLOW_GCP_ENV": "demo", bindings.SWITCH: "1" if lazy else "0"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "main.py"], cwd=CHECKOUT, env=environ, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Run(cpu=cpu, wall=time.monotonic() - started)


def row(name: str, lazy: list[float], plain: list[float]) -> str:
    """A line of the table: medians, and the ratio pair by pair."""
    ratios = [b / a for a, b in zip(lazy, plain, strict=True)]
    return (
        f"| {name} | {median(lazy):.2f} s | {median(plain):.2f} s"
        f" | 1/{median(ratios):.1f} (1/{max(ratios):.1f} to 1/{min(ratios):.1f}) |"
    )


def main() -> int:
    """Prints each pair and the medians; returns 1 when the median ratio misses the goal."""
    pairs: list[tuple[Run, Run]] = []
    for number in range(PAIRS + 1):
        lazy, plain = synthesize(lazy=True), synthesize(lazy=False)
        print(
            f"{f'pair {number}' if number else 'warm-up'}: {lazy.cpu:.2f} s against {plain.cpu:.2f} s of CPU",
            flush=True,
        )
        if number:
            pairs.append((lazy, plain))
    print(f"\n| median of {PAIRS} pairs | lazy | plain | ratio |\n| --- | --- | --- | --- |")
    print(row("CPU time", [lazy.cpu for lazy, _ in pairs], [plain.cpu for _, plain in pairs]))
    print(row("wall time", [lazy.wall for lazy, _ in pairs], [plain.wall for _, plain in pairs]))
    met = median(plain.cpu / lazy.cpu for lazy, plain in pairs) >= GOAL
    print(f"\ngoal, at most 1/{GOAL} of the CPU time: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
