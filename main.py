"""Synthesizes the Terraform of one environment; the only reader of the process environment."""

import os
import sys
import time
from pathlib import Path

from stacks import bindings
from stacks.settings.load import environment_file, environments, load
from stacks.settings.problems import SettingsError

CHECKOUT = Path(__file__).parent
ENVIRONMENT = "MLFLOW_GCP_ENV"


def main() -> int:
    """Loads the settings that MLFLOW_GCP_ENV names and writes cdktf.out/; returns the exit status."""
    folder = CHECKOUT / "environments"
    environment = os.environ.get(ENVIRONMENT)
    if not environment:
        print(f"{ENVIRONMENT} is not set; choose one of: {', '.join(environments(folder))}", file=sys.stderr)
        return 64
    try:
        settings = load(environment_file(Path(os.path.relpath(folder)), environment), os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 65

    bindings.install(os.environ)
    cold = bindings.cold_package_cache(os.environ, Path.home())
    started = time.monotonic()
    if cold:
        print(f"First run on this machine: unpacking the provider bindings (350 MB) to {cold} ...", file=sys.stderr)
    from stacks.app import synthesize  # noqa: PLC0415 - cdktf starts node, which must find the bindings lazy

    documents = synthesize(settings, environment=environment, output=CHECKOUT / "cdktf.out")
    if cold:
        print(f"Unpacked and synthesized in {time.monotonic() - started:.0f} s.", file=sys.stderr)
    for document in documents:
        print(f"{os.path.relpath(document.path)}  {document.resource_count} resources")
    return 0


if __name__ == "__main__":
    sys.exit(main())
