"""The environment in which Terraform or OpenTofu, and everything that calls them, meets the local cloud."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from containers.private import private_folder
from localcloud.daemon import facts
from localcloud.server import running
from localcloud.terraform.documents import STATES, keep_state_local

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

_DATA_FOLDER = ".terraform-localcloud"  # not .terraform: a run against Google must not find local states there
_ENGINES = ("terraform", "tofu")
_STATES = "LOCALCLOUD_STATES"
_OVERRIDES = "LOCALCLOUD_OVERRIDES"


@contextmanager
def session(home: Path, documents: Path, *options: str) -> Generator[dict[str, str]]:
    """A local cloud for as long as the context lasts.

    A `terraform` and a `tofu` that come first in PATH prepare the folder that they are called in. It makes no
    difference who calls them, or whether CDKTF has yet to write the document. A `gcloud` there is the local cloud's.

    Args:
        home: the folder of the local cloud.
        documents: where the Terraform documents are, or the CDKTF project that makes them.
        options: more options of `python -m localcloud serve`.

    Yields:
        The environment for commands.

    Raises:
        FileNotFoundError: there is neither terraform nor tofu.
        NotPrivate: the folder is not this user's alone.
    """
    private_folder(home)
    engines = {name: path for name in _ENGINES if (path := shutil.which(name))}
    if not engines:
        raise FileNotFoundError(
            "terraform >= 1.11 is not installed: https://developer.hashicorp.com/terraform/install"
            "   (or OpenTofu >= 1.11: https://opentofu.org/docs/intro/install/)"
        )
    with _providers(home, documents, *options) as reattach, tempfile.TemporaryDirectory(prefix="localcloud-") as folder:
        for name, path in engines.items():
            _write_program(Path(folder, name), "localcloud.session", path)
        _write_program(Path(folder, "gcloud"), "localcloud", f"--home={home.resolve()}", "gcloud")
        overrides = Path(folder, "overrides")
        overrides.touch()
        try:
            yield os.environ | {
                "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
                "TF_REATTACH_PROVIDERS": reattach,
                "TF_DATA_DIR": _DATA_FOLDER,
                "CHECKPOINT_DISABLE": "1",  # no call home for a newer version
                _STATES: str(home.resolve() / STATES),
                _OVERRIDES: str(overrides),
            }
        finally:
            for path in overrides.read_text().splitlines():
                Path(path).unlink(missing_ok=True)


def _write_program(path: Path, module: str, *arguments: str) -> None:
    root, *command = (
        shlex.quote(word) for word in (str(Path(__file__).parents[1]), sys.executable, "-m", module, *arguments)
    )
    path.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {" ".join(command)} "$@"\n')
    path.chmod(0o700)


@contextmanager
def _providers(home: Path, documents: Path, *options: str) -> Generator[str]:
    """The providers of the process in the background, or, where none runs, of a child on paper."""
    told = facts(home)
    if told:
        yield told["reattach"]
    else:
        with running(home, documents, *options) as reattach:
            yield reattach


def run_engine(engine: str, arguments: Sequence[str]) -> None:
    """Becomes the real terraform or tofu, at the path `engine`, after its folder is prepared."""
    if arguments[:2] == ["providers", "lock"]:
        print("[localcloud] nothing to lock: the providers are local")
        return
    chosen = [argument.removeprefix("-chdir=") for argument in arguments if argument.startswith("-chdir=")]
    override = keep_state_local(Path(*chosen), Path(os.environ[_STATES]))
    if override:
        with Path(os.environ[_OVERRIDES]).open("a") as file:
            file.write(f"{override}\n")
    os.environ.pop("PYTHONPATH", None)
    os.execv(engine, [Path(engine).name, *arguments])  # noqa: S606 - no shell is meant


if __name__ == "__main__":
    run_engine(sys.argv[1], sys.argv[2:])
