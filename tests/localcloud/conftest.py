"""Documents are synthesized once a worker, the bootstrap stack is applied once; every test has a cloud of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from localcloud.session import session
from stacks import bindings
from stacks.settings.load import OVERRIDE_PREFIX, load
from tests.localcloud.variants import VARIANTS
from tests.localcloud.workspace import OAUTH_CLIENT_SECRET, Workspace

CHECKOUT = Path(__file__).parents[2]
DEMO = CHECKOUT / "environments" / "demo.toml"

Documents = Callable[..., Path]
Open = Callable[..., Workspace]


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    """Synthesizes a variant, with changes, to a folder with `bootstrap/` and `tracking/`."""
    bindings.install(os.environ)
    made: dict[str, Path] = {}

    def make(variant: str, **changes: str) -> Path:
        from stacks.app import synthesize  # noqa: PLC0415 - cdktf starts node, which must find the bindings lazy

        overrides = VARIANTS[variant] | changes
        key = repr((variant, sorted(overrides.items())))
        if key not in made:
            settings = load(DEMO, {f"{OVERRIDE_PREFIX}{name.upper()}": value for name, value in overrides.items()})
            output = tmp_path_factory.mktemp(variant)
            synthesize(settings, environment=variant, output=output)
            made[key] = output / "stacks"
        return made[key]

    return make


@pytest.fixture(scope="session")
def bootstrapped(documents: Documents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a local cloud in which the bootstrap stack was applied."""
    folder = tmp_path_factory.mktemp("bootstrapped")
    home = folder / "cloud"
    shutil.copytree(documents("dev") / "bootstrap", folder / "bootstrap")
    with session(home, folder / "bootstrap") as environment:
        bootstrap = Workspace(home, folder / "bootstrap", _terraform_environment(environment))
        bootstrap.init()
        bootstrap.apply()
    return home


@pytest.fixture
def open_workspace(tmp_path: Path, documents: Documents, bootstrapped: Path) -> Iterator[Open]:
    """Opens a workspace for a variant's stack: `tracking` on a bootstrapped cloud, or `bootstrap` on an empty one."""
    with ExitStack() as opened:

        def make(variant: str = "dev", stack: str = "tracking", options: tuple[str, ...] = (), **changes: str) -> Workspace:
            folder, home = tmp_path / stack, tmp_path / "cloud"
            if not folder.exists():
                shutil.copytree(documents(variant, **changes) / stack, folder)
            if stack == "tracking" and not home.exists():
                shutil.copytree(bootstrapped, home)
            opened.close()  # one process holds a cloud at a time
            environment = opened.enter_context(session(home, folder, *options))
            workspace = Workspace(home, folder, _terraform_environment(environment))
            workspace.init()
            return workspace

        yield make


@pytest.fixture
def applied(open_workspace: Open) -> Workspace:
    """The tracking stack of the dev variant, applied."""
    workspace = open_workspace()
    workspace.apply()
    return workspace


def _terraform_environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"TF_VAR_oauth_client_secret": OAUTH_CLIENT_SECRET, "TF_IN_AUTOMATION": "1"}
