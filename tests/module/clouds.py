"""Configurations that call the module, on a local cloud, with the real terraform between them."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.workspace import OAUTH_CLIENT_SECRET, Workspace
from localcloud.session import session
from tools.docs import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Generator

MODULE: Final = CHECKOUT / "module"
BEFORE: Final = Path(__file__).parent / "before"

SECRETS: Final = {
    "TF_VAR_oauth_client_secret": OAUTH_CLIENT_SECRET,
    "TF_VAR_oauth_client_secrets": json.dumps(dict.fromkeys(("forecasting", "vision"), OAUTH_CLIENT_SECRET)),
}


NUMBER: Final = ("--project", "acme-ml-dev=123456789012")
"""The number that the examples say."""

APIS: Final = [
    *json.loads((MODULE / "modules/apis/outputs.tf.json").read_text())["output"]["apis"]["value"],
    "artifactregistry.googleapis.com",
    "cloudkms.googleapis.com",
    "compute.googleapis.com",
    "servicenetworking.googleapis.com",
]


@contextmanager
def opened(home: Path, folder: Path, *options: str) -> Generator[Workspace]:
    """A configuration, initialized, for as long as the context lasts; `options` are those of the local cloud."""
    with session(home, folder, *NUMBER, *options) as variables:
        workspace = Workspace(home, folder, variables | SECRETS | {"TF_VAR_apis": json.dumps(APIS)})
        workspace.init()
        yield workspace


def prepare(home: Path, work: Path, before: str | Path) -> None:
    """Applies what was there before, with a state that nobody looks at again."""
    folder = shutil.copytree(BEFORE / before, work / Path(before).name)
    with opened(home, folder) as workspace:
        workspace.apply()


def copy_of_module(work: Path) -> Path:
    """A copy, for Terraform and the local cloud leave files beside a configuration."""
    return shutil.copytree(MODULE, work / "module", ignore=shutil.ignore_patterns(".terraform*"))
