"""Looks at the Terraform documents of a run: which resource types they name, and whether their state is remote."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TYPE = re.compile(r"\bgoogle_[a-z0-9_]+\b")
_OVERRIDE = "backend_override.tf.json"


def folders(root: Path) -> list[Path]:
    """The folders with documents: `root` itself, and the stacks that CDKTF has written below it."""
    candidates = [root, *sorted(root.glob("cdktf.out/stacks/*"))]
    return [folder for folder in candidates if any(_files(folder))]


def resource_types(root: Path) -> set[str]:
    """The names in the documents that look like Google's resource types."""
    return {
        name for folder in folders(root) for path in _files(folder) for name in _TYPE.findall(path.read_text(errors="replace"))
    }


@contextmanager
def local_backends(root: Path, states: Path) -> Iterator[None]:
    """Keeps the states of documents with a remote backend in a local folder, as long as the context lasts.

    An override file is Terraform's own way to do that; the document stays as it is.
    https://developer.hashicorp.com/terraform/language/files/override

    Args:
        root: where the documents are.
        states: where the states go, one file a document.
    """
    written: list[Path] = []
    try:
        for folder in folders(root):
            if _has_remote_backend(folder):
                state = states / f"{folder.resolve().name}.tfstate"
                path = folder / _OVERRIDE
                path.write_text(json.dumps({"terraform": {"backend": {"local": {"path": str(state)}}}}))
                written.append(path)
        yield
    finally:
        for path in written:
            path.unlink(missing_ok=True)


def _has_remote_backend(folder: Path) -> bool:
    for path in folder.glob("*.tf.json"):
        if path.name != _OVERRIDE:
            settings = json.loads(path.read_text()).get("terraform", {})
            backends = [block.get("backend", {}) for block in (settings if isinstance(settings, list) else [settings])]
            if any(set(backend) - {"local"} for backend in backends):
                return True
    return any(re.search(r'backend\s+"(?!local")', path.read_text()) for path in folder.glob("*.tf"))


def _files(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*.tf")
    yield from folder.glob("*.tf.json")
