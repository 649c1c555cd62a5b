"""One database server in its container: what is asked of it, and how it says no."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from containers.engine import EngineError
from localcloud.terraform.model import Problem, Refused

if TYPE_CHECKING:
    from containers.container import Container
    from localcloud.machine.dialects import Dialect

_START_DEADLINE_S = 120
_STOP_GRACE_S = 30
_LOG_LINES = 15


class Measured(NamedTuple):
    """The resources that a server uses.

    Attributes:
        connections: Database -> how many clients are connected.
        disk_mib: Its files.
        memory_mib: Its memory.
        memory_limit_mib: What it may use.
    """

    connections: dict[str, int]
    disk_mib: float
    memory_mib: float
    memory_limit_mib: int


def stop(container: Container) -> None:
    """Ends it in order, if it runs."""
    if container.running:
        container.stop(_STOP_GRACE_S)


def run_sql(container: Container, dialect: Dialect, statements: str) -> None:
    """Runs statements as the superuser.

    Raises:
        Refused: The server says no.
    """
    try:
        container.execute(*dialect.client, stdin=statements)
    except EngineError as error:
        raise Refused(Problem(f"the database server says no: {str(error).strip().splitlines()[-1]}")) from error


def run_script(container: Container, *command: str) -> None:
    """Runs a command of the image's backup script.

    Raises:
        Refused: It fails.
    """
    try:
        container.execute("/opt/backup.sh", *command)
    except EngineError as error:
        raise Refused(Problem("the backup failed", str(error))) from error


def wait_until_ready(container: Container, dialect: Dialect) -> None:
    """Waits until the server answers.

    Raises:
        Refused: It has ended, or does not answer in time.
    """
    end = time.monotonic() + _START_DEADLINE_S
    while True:
        try:
            container.execute(*dialect.client, stdin=dialect.ready)
        except EngineError as error:
            if not container.running:
                raise refused("the database server ended at its start", container) from error
            if time.monotonic() > end:
                raise refused(f"the database server does not answer for {_START_DEADLINE_S} s", container) from error
            time.sleep(0.1)
        else:
            return


def refused(summary: str, container: Container) -> Refused:
    """Returns the error, with the end of the server's log."""
    log = "\n".join(container.logs().splitlines()[-_LOG_LINES:])
    return Refused(Problem(summary, f"The end of its log:\n{log}"))
