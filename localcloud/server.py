"""The process that holds a local cloud: one at a time for each folder."""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from containers.private import private_folder

if TYPE_CHECKING:
    from collections.abc import Generator

    from localcloud.circumstances import Circumstances
    from localcloud.resource import Cloud
    from localcloud.terraform.faults import Fault
    from localcloud.terraform.traffic import Traffic

GOOGLE = "hashicorp/google"
RANDOM = "hashicorp/random"
QUIET = 0.05  # seconds; between two calls that it can make at once, Terraform takes a few milliseconds
_STOP_SECONDS = 10


def serve(home: Path, documents: Path, *, traffic: Traffic, fault: Fault, circumstances: Circumstances) -> None:
    """Serves both providers; prints the value of TF_REATTACH_PROVIDERS when they answer; ends when stdin does.

    Args:
        home: the folder of the local cloud; waits while another process holds it.
        documents: where the Terraform documents are.
        traffic: tells late changes when to happen.
        fault: what to break.
        circumstances: what kind of cloud it is.
    """
    # Imported here, for the other subcommands should not wait for gRPC.
    from localcloud.resource import Cloud  # noqa: PLC0415
    from localcloud.store import Store  # noqa: PLC0415

    private_folder(home)
    with holding(home):
        log_to(home / "log")
        cloud = Cloud(Store(home), circumstances=circumstances)
        with providers(cloud, documents, traffic, fault) as reattach:
            print(reattach, flush=True)
            sys.stdin.read()
        cloud.store.close()


@contextmanager
def providers(cloud: Cloud, documents: Path, traffic: Traffic, fault: Fault) -> Generator[str]:
    """Serves both providers for as long as the context lasts.

    Args:
        cloud: where the resources live.
        documents: where the Terraform documents are.
        traffic: tells late changes when to happen.
        fault: what to break.

    Yields:
        The value of TF_REATTACH_PROVIDERS.
    """
    from localcloud import google  # noqa: PLC0415
    from localcloud.terraform import protocol  # noqa: PLC0415
    from localcloud.terraform.random import RandomProvider  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="localcloud-") as sockets:
        paths = {GOOGLE: Path(sockets, "google.sock"), RANDOM: Path(sockets, "random.sock")}
        servers = [
            protocol.start(google.provider(cloud, documents, traffic, fault), paths[GOOGLE], traffic),
            protocol.start(RandomProvider(), paths[RANDOM], traffic),
        ]
        try:
            yield protocol.reattach(paths)
        finally:
            for server in servers:
                server.stop(grace=_STOP_SECONDS).wait()


@contextmanager
def running(home: Path, documents: Path, *options: str) -> Generator[str]:
    """A server as a child process, for as long as the context lasts.

    The server reads its standard input, so it ends with this process, however that ends.

    Args:
        home: the folder of the local cloud.
        documents: where the Terraform documents are.
        options: more options of `python -m localcloud serve`.

    Yields:
        The value of TF_REATTACH_PROVIDERS.

    Raises:
        ChildProcessError: the server did not start; it has said why.
    """
    command = [
        sys.executable,
        "-m",
        "localcloud",
        "--home",
        str(home),
        "serve",
        "--documents",
        str(documents),
        *options,
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        assert process.stdout  # noqa: S101 - a pipe was asked for
        line = process.stdout.readline()
        if not line:
            raise ChildProcessError("the local cloud did not start")
        yield line.strip()
    finally:
        process.communicate()


@contextmanager
def holding(home: Path, lock: str = "lock") -> Generator[None]:
    """Holds the folder: nobody else serves or erases it meanwhile. Waits for whoever does."""
    with (home / lock).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            print(
                f"[localcloud] process {file.read().strip()} uses {home}: waiting for it to end ...",
                file=sys.stderr,
                flush=True,
            )
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def log_to(path: Path) -> None:
    """Sends the log of this process to a file that only this user can read."""
    path.touch(mode=0o600)
    logging.basicConfig(filename=path, level=logging.INFO, format="%(asctime)s %(message)s")
