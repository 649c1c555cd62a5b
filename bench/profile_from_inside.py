"""Goes through a start of the image step by step and prints the CPU seconds of each as JSON; runs in the container.

The same steps as start.sh and mlflow_cloudrun, each by the clock of the process that does it.
"""

import gc
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from importlib import import_module

DATABASE_LAYER = ("mlflow_cloudrun.database",)
SERVER = ("uvicorn.main", "mlflow.server.handlers", "mlflow_cloudrun.application")
POSTPONED = "from mlflow_cloudrun import postponed; postponed.install()"
IMPORTS = f"import gc; gc.disable(); {POSTPONED}; import {', '.join(DATABASE_LAYER + SERVER)}"
MOST_PACKAGES = 8


def cpu_of(*command: str) -> float:
    """Returns the CPU seconds of a process that ends by itself."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def imports_by_package() -> dict[str, float]:
    """Returns the seconds that the modules of each package take, without what they import in their turn."""
    command = [sys.executable, "-W", "ignore", "-X", "importtime", "-c", IMPORTS]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    microseconds: Counter[str] = Counter()
    for line in report.splitlines():  # import time: SELF | CUMULATIVE | NAME
        own, _, rest = line.removeprefix("import time:").partition("|")
        if own.strip().isdigit():
            microseconds[rest.partition("|")[2].strip().partition(".")[0]] += int(own)
    chosen = [*microseconds.most_common(MOST_PACKAGES), ("all", microseconds.total())]
    return {name: number / 1e6 for name, number in chosen}


def steps() -> dict[str, float]:
    """Returns the CPU seconds of each step."""
    settings = cpu_of(sys.executable, "-m", "mlflow_cloudrun.settings", "serve", "/tmp/profile")  # noqa: S108
    found = {"check of the environment, a process of its own": settings}
    uri, root = os.environ["BACKEND_STORE_URI"], os.environ["DEFAULT_ARTIFACT_ROOT"]
    work = {
        "imports of MLflow and its database layer": lambda: [*map(import_module, DATABASE_LAYER)],
        "check of the schema": lambda: import_module("mlflow_cloudrun.database").upgrade(
            uri, patience_s=200, longest_s=120
        ),
        "imports of the web application": lambda: [*map(import_module, SERVER)],
        "both stores": lambda: import_module("mlflow.server.handlers").initialize_backend_stores(uri, uri, root),
    }
    gc.disable()
    import_module("mlflow_cloudrun.postponed").install()
    for name, step in work.items():
        before = time.process_time()
        step()
        found[name] = time.process_time() - before
    return found


if __name__ == "__main__":
    by_package = imports_by_package()
    sys.stdout.write(json.dumps({"steps": steps(), "imports": by_package}) + "\n")
