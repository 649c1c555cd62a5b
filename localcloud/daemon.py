"""The local cloud as a process in the background: both providers and the machine, until it is asked to end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from containers.private import private_folder
from localcloud import server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from containers.container import Container
    from containers.engine import Engine
    from localcloud.circumstances import Circumstances
    from localcloud.machine.options import Options

_FILE = "up.json"
_ENGINE = "engine"
_START_S = 120
_STOP_S = 120
_POLL_S = 0.1


class NotUp(Exception):  # noqa: N818 - what happened
    """The local cloud did not start; it has said why in its log."""


def label(home: Path) -> str:
    """The name of the local cloud in a folder, on everything that it makes outside of it."""
    return f"localcloud-{hashlib.sha256(str(home).encode()).hexdigest()[:10]}"


def engine(home: Path) -> Engine:
    """Returns the container engine of a local cloud: the one that has its containers and volumes, if it has begun.

    Raises:
        EngineError: it does not work.
    """
    from containers.engine import Engine  # noqa: PLC0415

    path = home / _ENGINE
    return Engine(path.read_text() if path.exists() else "")


def settled_engine(home: Path) -> Engine:
    """Returns the same, and makes it the only one that this local cloud will have.

    Raises:
        EngineError: it does not work, or the environment asks for another.
    """
    from containers.engine import CHOICE, EngineError, chosen  # noqa: PLC0415

    found = engine(home)
    if chosen() not in {"", found.name}:
        raise EngineError(f"the local cloud in {home} has begun on {found.name}: unset {CHOICE}, or reset it first")
    (home / _ENGINE).write_text(found.name)
    return found


def up(home: Path, documents: Path, options: Options, circumstances: Circumstances) -> None:
    """Serves until TERM or INT.

    Args:
        home: the folder of the local cloud.
        documents: where the Terraform documents are.
        options: how the machine is set up.
        circumstances: what kind of cloud it is.

    Raises:
        EngineError: there is no container engine.
        PortTaken: a port is in use.
    """
    # Imported here, for the other subcommands should not wait for gRPC and the web server.
    from localcloud.commands.server import serving as gcloud  # noqa: PLC0415
    from localcloud.machine.machine import Machine  # noqa: PLC0415
    from localcloud.resource import Cloud  # noqa: PLC0415
    from localcloud.store import Store  # noqa: PLC0415
    from localcloud.terraform.faults import Fault  # noqa: PLC0415
    from localcloud.terraform.traffic import Traffic  # noqa: PLC0415

    private_folder(home)
    with server.holding(home):
        server.log_to(home / "log")
        _publish(home, {"pid": os.getpid()})  # whoever wants it to end need not wait until it has started
        cloud = Cloud(Store(home), circumstances=circumstances)
        machine = Machine(cloud, settled_engine(home), home, options)
        cloud.platform = machine

        async def serve() -> None:
            ended = asyncio.Event()
            for name in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(name, ended.set)
            try:
                ports = await machine.open()
                async with gcloud(cloud, machine) as socket:
                    with server.providers(cloud, documents, Traffic(server.QUIET), Fault()) as reattach:
                        _publish(home, {"pid": os.getpid(), "reattach": reattach, "gcloud": socket, "ports": ports})
                        await ended.wait()
            finally:
                (home / _FILE).unlink(missing_ok=True)
                await machine.close()

        asyncio.run(serve())
        cloud.store.close()


def _publish(home: Path, facts: Mapping[str, object]) -> None:
    """Writes the facts for other processes to read, all or nothing."""
    draft = home / f"{_FILE}.{os.getpid()}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(facts, file)
    draft.replace(home / _FILE)


def facts(home: Path) -> dict[str, Any] | None:
    """Returns the facts that the background process has published once it serves; None where none does.

    Returns:
        `pid`; `reattach`, the value of TF_REATTACH_PROVIDERS; `gcloud`, the socket for its commands; `ports`, by name.
    """
    told = _published(home)
    return told if told and "ports" in told else None


def _published(home: Path) -> dict[str, Any] | None:
    """The same, and of a process that is still starting its `pid` alone."""
    try:
        told = json.loads((home / _FILE).read_text())
    except OSError:
        return None
    # One that was killed leaves the file; somebody else may hold the folder then.
    return told if _holder(home) == str(told["pid"]) else None


def _holder(home: Path) -> str:
    """The process id of who holds the folder; "" for nobody."""
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            return lock.read().strip()
        return ""


def start(home: Path, documents: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """Starts the process in the background, unless it runs; returns its `facts`.

    Args:
        home: the folder of the local cloud.
        documents: where the Terraform documents are.
        arguments: options of `python -m localcloud up`.

    Raises:
        NotUp: it ended instead.
    """
    private_folder(home)
    with server.holding(home, "start.lock"):
        return facts(home) or _start(home, documents, arguments)


def _start(home: Path, documents: Path, arguments: Sequence[str]) -> dict[str, Any]:
    (home / _FILE).unlink(missing_ok=True)
    command = [sys.executable, "-m", "localcloud", "--home", str(home), "up", *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    path = home / "up.log"
    with path.open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            cwd=documents,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        told = facts(home)
        if told:
            return told
        if process.poll() is not None:
            raise NotUp(path.read_text().strip() or f"the local cloud ended with status {process.returncode}")
        time.sleep(_POLL_S)
    raise NotUp(f"the local cloud did not start within {_START_S} s, see {path}")


def stop(home: Path) -> None:
    """Ends the process in the background, if there is one, and all that it or one that died runs; what is stored stays.

    Raises:
        TimeoutError: it did not end.
    """
    told = _published(home)
    if told:
        os.kill(told["pid"], signal.SIGTERM)
        deadline = time.monotonic() + _STOP_S
        while _holder(home) == str(told["pid"]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {told['pid']} has not ended within {_STOP_S} s")
            time.sleep(_POLL_S)
    _remove_containers(home)


def instances(home: Path) -> list[Container]:
    """The containers that run for the services of a local cloud."""
    from localcloud.machine.template import LABEL  # noqa: PLC0415

    return engine(home).containers(f"{LABEL}={label(home)}")


def _remove_containers(home: Path) -> None:
    """Removes what runs for a local cloud, first what uses the databases. Their data are in volumes."""
    from containers.engine import EngineError  # noqa: PLC0415

    if not (home / _ENGINE).exists():
        return  # no container was ever asked for
    for container in [*instances(home), *engine(home).containers(f"localcloud={label(home)}")]:
        with contextlib.suppress(EngineError):  # the second time
            container.remove()


def clear(home: Path) -> None:
    """Removes every container and volume that a local cloud has made, whether it was ended or died."""
    _remove_containers(home)
    if (home / _ENGINE).exists():
        found = engine(home)
        for volume in found.volumes(f"localcloud={label(home)}"):
            found.remove_volume(volume)
