"""Writes the Terraform modules of module/; `--check` only names what drifted."""

import json
import os

from stacks import bindings
from tools.docs import Part

FOLDER = "module"


def generate() -> list[Part]:
    """Makes the documents of the modules anew."""
    bindings.install(os.environ)
    from stacks.module import module_files  # noqa: PLC0415 - cdktf starts node, which must find the bindings lazy

    return [
        Part(file=f"{FOLDER}/{path}", name=None, text=json.dumps(document, indent=2, sort_keys=True) + "\n")
        for path, document in module_files().items()
    ]
