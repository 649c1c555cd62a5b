"""Writes every document to a folder; run in a copy of the sources, by the Python that has the bindings."""

import json
import os
import sys
from pathlib import Path

from stacks import bindings

bindings.install(os.environ)
from stacks.app import synthesize  # noqa: E402  what it imports starts node
from stacks.module import module_files  # noqa: E402
from stacks.settings.load import load  # noqa: E402


def main() -> None:
    """Writes `ENVIRONMENT/stacks/STACK/cdk.tf.json` for each settings file after the first argument, and `module/`."""
    output, *settings = map(Path, sys.argv[1:])
    output.mkdir(parents=True, exist_ok=True)
    for path in settings:
        synthesize(load(path, {}), environment=path.stem, output=output / path.stem)
    for name, document in module_files().items():
        file = output / "module" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=2, sort_keys=True))


if __name__ == "__main__":
    main()
