"""Looks at the Terraform documents of a run: which resource types they name, and where their states go."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OVERRIDE = "backend_override.tf.json"
_FOLDERS = "folders"
STATES = "states"
"""Below the folder of a local cloud: where the states go."""
_SOURCE = re.compile(r'\bsource"?\s*[=:]\s*"(\.{1,2}/[^"]*)"')


def folders(root: Path) -> list[Path]:
    """The folders with documents: `root` itself, and those that CDKTF has written below it."""
    candidates = [root, *sorted(root.glob("cdktf.out/stacks/*"))]
    return [folder for folder in candidates if any(_files(folder))]


def resource_types(root: Path, provider: str) -> set[str]:
    """The names in the documents that look like the resource types of a provider."""
    form = re.compile(rf"\b{provider}_[a-z0-9_]+\b")
    return {
        name
        for folder in folders(root)
        for path in _files(folder)
        for name in form.findall(path.read_text(errors="replace"))
    }


def names(root: Path, states: Path, word: str) -> bool:
    """Whether the documents, or the modules of this machine that they call, name a word.

    Args:
        root: where the documents are.
        states: where `keep_state_local` has noted for which folders it was called.
        word: the word.
    """
    noted = states / _FOLDERS
    called_in = noted.read_text().splitlines() if noted.exists() else []
    seen: set[Path] = set()
    left = [folder.resolve() for folder in (*folders(root), *map(Path, called_in))]
    while left:
        folder = left.pop()
        seen.add(folder)
        texts = [path.read_text(errors="replace") for path in _files(folder)]
        if any(re.search(rf"\b{word}\b", text) for text in texts):
            return True
        called = {(folder / source).resolve() for text in texts for source in _SOURCE.findall(text)}
        left += called - seen
    return False


def keep_state_local(folder: Path, states: Path) -> Path | None:
    """Makes Terraform keep the state of a document with the local cloud, whatever backend the document names.

    A run against Google must never find that state, and nobody wants credentials for a bucket here. An override file is
    Terraform's own way to do that; the document stays as it is.
    https://developer.hashicorp.com/terraform/language/files/override

    Args:
        folder: where the document is.
        states: where the states go, one file a backend: environments share a folder, not a backend.

    Returns:
        The override file, to be removed when the run is over; None if the folder has no document.
    """
    if not any(_files(folder)):
        return None
    digest = hashlib.sha256(_backend(folder).encode()).hexdigest()[:8]
    state = states / f"{folder.resolve().name}-{digest}.tfstate"
    override = folder.resolve() / _OVERRIDE
    override.write_text(json.dumps({"terraform": {"backend": {"local": {"path": str(state)}}}}))
    _note(folder.resolve(), states / _FOLDERS)
    return override


def _note(folder: Path, file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file.open("a+") as noted:
        noted.seek(0)
        if str(folder) not in noted.read().splitlines():
            noted.write(f"{folder}\n")


def _backend(folder: Path) -> str:
    settings = [
        json.loads(path.read_text()).get("terraform")
        for path in sorted(folder.glob("*.tf.json"))
        if path.name != _OVERRIDE
    ]
    backends = [block["backend"] for block in settings if block and "backend" in block]
    return f"{folder.resolve()} {json.dumps(backends, sort_keys=True)}"


def _files(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*.tf")
    yield from folder.glob("*.tf.json")
