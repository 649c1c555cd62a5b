"""Clouds to apply to, one for each test: of a small project of its own, or of this project's stacks.

What tests the local cloud itself opens the shop (documents/shop.tf.json). This project's stacks are held against it by
the others; they are synthesized, and the bootstrap stack applied, once a worker.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import pytest

from harness.workspace import OAUTH_CLIENT_SECRET, Workspace
from localcloud.circumstances import Circumstances, Delays
from localcloud.resource import Cloud
from localcloud.session import session
from localcloud.store import Store
from stacks.settings.load import OVERRIDE_PREFIX, load
from tests.localcloud.calls import provider_of
from tests.localcloud.keys import make_key
from tests.localcloud.vpcs import make_network
from tests.stacks.documents import ENVIRONMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localcloud.provider import ResourceProvider

SHOP = Path(__file__).parent / "documents" / "shop.tf.json"


class OpenShop(Protocol):
    """Opens the shop on an empty cloud, or opens it again, with options of `localcloud exec`."""

    def __call__(self, *options: str) -> Workspace: ...


@pytest.fixture
def open_shop(tmp_path: Path) -> Iterator[OpenShop]:
    folder, home = tmp_path / "shop", tmp_path / "cloud"
    folder.mkdir()
    shutil.copy(SHOP, folder / "cdk.tf.json")
    with ExitStack() as opened:

        def make(*options: str) -> Workspace:
            opened.close()  # one process holds a cloud at a time
            workspace = Workspace(home, folder, opened.enter_context(session(home, folder, *options)))
            workspace.init()
            return workspace

        yield make


@pytest.fixture
def shop(open_shop: OpenShop) -> Workspace:
    """The shop, applied."""
    workspace = open_shop()
    workspace.apply()
    return workspace


Bootstrapped: TypeAlias = "Callable[[str], Path]"


class Documents(Protocol):
    """Synthesizes a test environment, with overrides, to a folder with `bootstrap/` and `tracking/`."""

    def __call__(self, environment: str, **overrides: str) -> Path: ...


class Open(Protocol):
    """Opens a workspace: the tracking stack on a bootstrapped cloud, or the bootstrap stack on an empty one."""

    def __call__(
        self, environment: str = "dev", stack: str = "tracking", options: tuple[str, ...] = (), **overrides: str
    ) -> Workspace: ...


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    made: dict[str, Path] = {}

    def make(environment: str, **overrides: str) -> Path:
        from stacks.app import synthesize  # noqa: PLC0415 - cdktf starts node, which must find the bindings lazy

        key = f"{environment} {sorted(overrides.items())}"
        if key not in made:
            variables = {f"{OVERRIDE_PREFIX}{name.upper()}": value for name, value in overrides.items()}
            output = tmp_path_factory.mktemp(environment)
            synthesize(load(ENVIRONMENTS / f"{environment}.toml", variables), environment=environment, output=output)
            made[key] = output / "stacks"
        return made[key]

    return make


def make_what_is_named_in(environment: str, home: Path) -> None:
    """Makes the key and the network that an environment names, if it does."""
    settings = load(ENVIRONMENTS / f"{environment}.toml", {})
    if settings.network.vpc:
        make_network(home, settings.network.vpc, settings.network.subnet)
    if settings.encryption.kms_key:
        make_key(home, settings.encryption.kms_key, settings.project.id)


@pytest.fixture(scope="session")
def bootstrapped(documents: Documents, tmp_path_factory: pytest.TempPathFactory) -> Bootstrapped:
    """Gives the folder of a local cloud in which the bootstrap stack of an environment was applied."""
    made: dict[str, Path] = {}

    def make(environment: str) -> Path:
        if environment not in made:
            folder = tmp_path_factory.mktemp("bootstrapped")
            shutil.copytree(documents(environment) / "bootstrap", folder / "bootstrap")
            make_what_is_named_in(environment, folder / "cloud")
            with session(folder / "cloud", folder / "bootstrap") as variables:
                bootstrap = Workspace(folder / "cloud", folder / "bootstrap", variables)
                bootstrap.init()
                bootstrap.apply()
            made[environment] = folder / "cloud"
        return made[environment]

    return make


@contextmanager
def opening(work: Path, documents: Documents, bootstrapped: Bootstrapped) -> Iterator[Open]:
    """Opens workspaces of one cloud, whose files lie in `work`."""
    with ExitStack() as opened:

        def make(
            environment: str = "dev", stack: str = "tracking", options: tuple[str, ...] = (), **overrides: str
        ) -> Workspace:
            folder, home = work / stack, work / "cloud"
            if not folder.exists():
                shutil.copytree(documents(environment, **overrides) / stack, folder)
            if stack == "tracking" and not home.exists():
                shutil.copytree(bootstrapped(environment), home)
            elif not home.exists():
                make_what_is_named_in(environment, home)
            opened.close()  # one process holds a cloud at a time
            variables = opened.enter_context(session(home, folder, *options))
            workspace = Workspace(home, folder, variables | {"TF_VAR_oauth_client_secret": OAUTH_CLIENT_SECRET})
            workspace.init()
            return workspace

        yield make


@pytest.fixture
def open_workspace(tmp_path: Path, documents: Documents, bootstrapped: Bootstrapped) -> Iterator[Open]:
    with opening(tmp_path, documents, bootstrapped) as make:
        yield make


@pytest.fixture
def applied(open_workspace: Open) -> Workspace:
    """The tracking stack of the dev environment, applied."""
    workspace = open_workspace()
    workspace.apply()
    return workspace


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """A cloud without Terraform, of the project demo-project."""
    store = Store(tmp_path)
    by_the_clock = Delays(patience=0.001)  # nobody else calls here, whose calls a grant could wait for
    yield Cloud(store, circumstances=Circumstances(numbers={"demo-project": "123456789012"}, delays=by_the_clock))
    store.close()


@pytest.fixture
def provider(cloud: Cloud) -> ResourceProvider:
    """The provider in front of it."""
    return provider_of(cloud)
