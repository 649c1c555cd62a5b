"""The maximal tracking stack on the local cloud: wall time of each step, as a ratio to `terraform validate`.

Every round is a cloud of its own, on which the bootstrap stack was applied. The first round warms the caches and is not
counted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from localcloud.session import session
from stacks import bindings
from stacks.settings.load import load

CHECKOUT = Path(__file__).parents[1]
SETTINGS = CHECKOUT / "tests" / "stacks" / "environments" / "maximal.toml"
# Without protection, or it could not be destroyed.
OVERRIDES = {"MLFLOW_GCP__DATABASE__DELETION_PROTECTION": "false"}
ROUNDS = 5
GOAL = 3
"""How many times as long as `validate` an apply takes, at most."""
STEPS = {
    "init": ["init", "-input=false"],
    "validate": ["validate"],
    "plan": ["plan", "-out=plan.bin"],
    "apply": ["apply", "plan.bin"],
    "second plan": ["plan", "-detailed-exitcode"],
    "destroy": ["destroy", "-auto-approve"],
}


def synthesize(output: Path) -> tuple[Path, int]:
    """Writes the documents; returns their folder, and how many resource blocks the tracking stack has."""
    bindings.install(os.environ)
    from stacks.app import synthesize  # noqa: PLC0415 - cdktf starts node, which must find the bindings lazy

    documents = synthesize(load(SETTINGS, OVERRIDES), environment="maximal", output=output)
    return documents[0].path.parents[1], documents[1].resource_count


def terraform(folder: Path, environment: dict[str, str], *arguments: str) -> float:
    """Runs terraform in a folder; returns its wall time in seconds."""
    started = time.monotonic()
    program = shutil.which("terraform", path=environment["PATH"]) or "terraform"
    subprocess.run([program, *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def measure(documents: Path, folder: Path) -> dict[str, float]:
    """One round; returns the seconds of each step."""
    shutil.copytree(documents, folder / "stacks")
    with session(folder / "cloud", folder / "stacks" / "bootstrap") as environment:
        for step in ("init", "apply -auto-approve"):
            terraform(folder / "stacks" / "bootstrap", environment, *step.split())
    with session(folder / "cloud", folder / "stacks" / "tracking") as environment:
        environment["TF_VAR_oauth_client_secret"] = "GOCSPX-of-a-benchmark"  # noqa: S105 - it opens nothing
        tracking = folder / "stacks" / "tracking"
        return {name: terraform(tracking, environment, *arguments) for name, arguments in STEPS.items()}


def main() -> int:
    """Prints the medians; returns 1 when apply misses the goal."""
    rounds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        documents, count = synthesize(Path(folder, "synthesized"))
        for number in range(ROUNDS + 1):
            seconds = measure(documents, Path(folder, str(number)))
            print(f"{f'round {number}' if number else 'warm-up'}: apply {seconds['apply']:.2f} s", flush=True)
            if number:
                rounds.append(seconds)
    print(f"\n{count} resource blocks, median of {ROUNDS} rounds\n")
    print("| step | seconds | ratio to validate |\n| --- | --- | --- |")
    ratios = {name: [seconds[name] / seconds["validate"] for seconds in rounds] for name in STEPS}
    for name in STEPS:
        low, high = min(ratios[name]), max(ratios[name])
        seconds = median(each[name] for each in rounds)
        print(f"| {name} | {seconds:.2f} | {median(ratios[name]):.1f} ({low:.1f} to {high:.1f}) |")
    met = median(ratios["apply"]) <= GOAL
    print(f"\ngoal, apply within {GOAL} times validate: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
