"""Prints what a start has imported and told MLflow, and what MLflow's own command would tell; run in the image."""

import contextlib
import json
import os
import sys
from importlib import import_module

from mlflow_cloudrun import postponed

postponed.install()
for name in ("mlflow.server.handlers", "mlflow_cloudrun.application"):
    import_module(name)
found: dict[str, object] = {"imported": sorted(sys.modules)}

# Whoever asks a postponed package gets what its own code would give.
others: list[str] = []
for package in sorted(postponed.GATHERING):
    module = import_module(package)
    later = module.__spec__.loader
    early = {name: getattr(module, name) for name in later.places}
    later.run(module)
    others += [f"{package}.{name}" for name, value in early.items() if vars(module)[name] is not value]
found["others"] = others
found["called"] = [
    name
    for package, names in postponed.CALLED.items()
    for name in names
    if callable(getattr(import_module(package), name))
]

uri, root = os.environ["BACKEND_STORE_URI"], os.environ["DEFAULT_ARTIFACT_ROOT"]


def told_by_mlflow(*_: object, extra_env: dict[str, str], **__: object) -> None:
    """Stands in for the start of a worker."""
    found["mlflow"] = extra_env
    found["ours"] = import_module("mlflow_cloudrun.__main__").told(uri, root)
    json.dump(found, sys.__stdout__)
    sys.__stdout__.flush()
    os._exit(0)


import_module("mlflow.server")._exec_cmd = told_by_mlflow
os.environ |= {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_DEFAULT_ARTIFACT_ROOT": root}
with contextlib.redirect_stdout(sys.stderr):  # it says what it does
    import_module("mlflow.cli").cli(["server"])
