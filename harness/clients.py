"""Programs with the client package as people install it, on machines with one credential of Google's or another."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import credentials
from harness import google_endpoints as google
from harness.google_endpoints import ADC_AUDIENCE, PERSON, ROBOT, Google
from harness.service import SERVICE_URL
from localcloud.machine.identity import GCLOUD_AUDIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

CHECKOUT = Path(__file__).parents[1]
UV = [sys.executable, "-m", "uv"]
VERSIONS = ("2.8.1", "2.16.2", "3.4.0", "3.17.2")
OTHER = ROBOT.replace("trainer", "other")
LETS_IN = {
    # as access.gcloud_tokens and access.adc_tokens have it
    "OAUTH2_PROXY_OIDC_EXTRA_AUDIENCES": f"{SERVICE_URL},{GCLOUD_AUDIENCE},{ADC_AUDIENCE}",
    "OAUTH_PROXY_EMAILS": f"{ROBOT},{OTHER}",
}
"""What a service has that lets every machine's program in."""


def build_wheel(folder: Path) -> Path:
    """Builds the client package; returns its wheel."""
    command = [*UV, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(CHECKOUT / "client")]
    subprocess.run(command, check=True)
    (found,) = folder.glob("*.whl")
    return found


def installed(folder: Path, wheel: Path, *packages: str) -> Path:
    """Makes an environment of its own with the wheel and packages; returns its Python."""
    python = folder / "bin" / "python"
    subprocess.run([*UV, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    # MLflow 2.8 imports pkg_resources, which newer setuptools do not have.
    command = [*UV, "pip", "install", "--quiet", "--python", str(python), *packages, str(wheel), "setuptools<81"]
    subprocess.run(command, check=True)
    return python


def client_of(url: str) -> dict[str, str]:
    """Returns what every program has in its environment: the two variables, and what this machine needs besides."""
    return {
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_TRACKING_AUTH": "google",
        "MLFLOW_GOOGLE_AUDIENCE": SERVICE_URL,  # the service's address, which leads to this machine in no name server
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "HOME": "/nonexistent",
        "PATH": "/usr/bin:/bin",
    }


@dataclass(frozen=True)
class Machine:
    """Where a program runs.

    Attributes:
        credential: What it has, in words.
        variables: Makes what the machine has in a folder; returns the environment that leads to it.
        address: Whose tokens its programs get; empty if they get none.
        said: What its programs are told then.
        metadata: There is a metadata server.
    """

    credential: str
    variables: Callable[[Google, Path], dict[str, str]]
    address: str
    said: str = ""
    metadata: bool = False


def _file(make: Callable[[Path], Path], **more: str) -> Callable[[Google, Path], dict[str, str]]:
    return lambda _, folder: {"GOOGLE_APPLICATION_CREDENTIALS": str(make(folder)), "NO_GCE_CHECK": "true", **more}


def _nothing(_: Google, __: Path) -> dict[str, str]:
    return {}


def _gcloud(cloud: Google, folder: Path) -> dict[str, str]:
    return {"PATH": f"{credentials.gcloud(cloud, folder / 'bin', SERVICE_URL)}:/usr/bin:/bin", "NO_GCE_CHECK": "true"}


MACHINES = (
    Machine("metadata server", _nothing, ROBOT, metadata=True),
    Machine("key file", _file(credentials.key_file), ROBOT),
    Machine("federation with a service account", _file(credentials.federation), ROBOT),
    Machine("a person's login that impersonates", _file(credentials.impersonated_login), ROBOT),
    Machine("another account impersonates", _file(credentials.key_file, MLFLOW_GOOGLE_IMPERSONATE=OTHER), OTHER),
    Machine("a person's application-default login", _file(credentials.login), PERSON),
    Machine("gcloud alone", _gcloud, PERSON),
    Machine(
        "federation without a service account",
        _file(lambda folder: credentials.federation(folder, account="")),
        "",
        "workload identity federation without a service account has no identity tokens",
    ),
)


@contextmanager
def standing(machine: Machine, cloud: Google, folder: Path) -> Generator[dict[str, str]]:
    """Sets a machine up; yields the environment of its programs."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        reached = stack.enter_context(google.reached(cloud, folder / "tls"))
        metadata = stack.enter_context(google.metadata(cloud)) if machine.metadata else {}
        yield reached | metadata | machine.variables(cloud, folder)


class Switch:
    """One address in front of the instances of a service, as Cloud Run has; it leads to one, or to none.

    Attributes:
        target: The port of the instance; None while there is none.
    """

    def __init__(self) -> None:
        self.target: int | None = None

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Leads one connection on."""
        try:
            other = await asyncio.open_connection("127.0.0.1", self.target or 1)
        except OSError:
            writer.close()
            return
        await google.join(reader, writer, other)

    @contextmanager
    def standing(self) -> Generator[str]:
        """Listens until the block ends; yields the address."""
        with google.loop_in_thread() as loop:
            starting = asyncio.start_server(self.connect, "127.0.0.1", 0)
            server = asyncio.run_coroutine_threadsafe(starting, loop).result(10)
            yield f"http://127.0.0.1:{google.port_of(server)}"
            loop.call_soon_threadsafe(server.close)
