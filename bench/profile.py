"""Where a start's time goes, as the image's own processes say: a section for docs/bench/image.md."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from containers.container import ContainerSpec
from harness.service import Platform

SCRIPT = Path(__file__).parent / "profile_from_inside.py"
NEW_LINE = "\n"


def measure(platform: Platform, fresh: Callable[[], ContainerSpec], rounds: int) -> dict[str, dict[str, float]]:
    """Runs profile_from_inside.py some times in a container of the service; returns the medians of its figures."""
    runs: list[dict[str, dict[str, float]]] = []
    for _ in range(rounds):
        spec = fresh()
        mounts = {**spec.mounts, SCRIPT: "/profile.py"}
        command = ["-W", "ignore", "/profile.py"]
        status, log = platform.ends(replace(spec, entrypoint="/opt/mlflow/bin/python", command=command, mounts=mounts))
        if status:
            raise RuntimeError(log)
        runs.append(json.loads(log.splitlines()[-1]))
    return {
        kind: {name: median(run[kind].get(name, 0) for run in runs) for name in runs[0][kind]}
        for kind in ("steps", "imports")
    }


def start_section(figures: dict[str, dict[str, float]], whole: dict[str, float]) -> list[str]:
    """Returns the lines that say where a start's time goes.

    Args:
        figures: What `measure` returned.
        whole: CPU seconds of a whole start, by variant; "ours" is the image.
    """
    steps, imports = figures["steps"], dict(figures["imports"])
    everything = imports.pop("all")
    packages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in imports.items())
    others = " and ".join(f"{seconds:.2f} s for {name}" for name, seconds in whole.items() if name != "ours")
    rest = {"the rest: start.sh, oauth2-proxy, uvicorn, the first requests": whole["ours"] - sum(steps.values())}
    rows = [f"| {name} | {seconds:.2f} | {seconds / whole['ours']:.0%} |" for name, seconds in (steps | rest).items()]
    return f"""\
## Where a start's time goes

Until its first 200 a container takes {whole["ours"]:.2f} s of CPU, against {others}.
The steps of ours:

| step | CPU s | share |
| --- | --- | --- |
{NEW_LINE.join(rows)}

The imports by package, without what each imports in its turn, in s of {everything:.2f}:
{packages}.

Importing is what is left. `mlflow server` does it in the parent and again in each worker; ours does it once, without
garbage collection, and without what only some requests need (mlflow_cloudrun/postponed.py). The bytecode is compiled;
neither smaller bytecode (`-X no_debug_ranges`) nor bytecode that is not checked against its source made a difference
that could be measured. pandas and numpy, which `mlflow server` imports and no request of a tracking server needs, are
not in the image (mlflow_cloudrun/absent.py).
""".splitlines()
