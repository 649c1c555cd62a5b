"""The output of a container, line by line as it comes: podman and docker follow its log until it ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from containers.container import Container
    from containers.engine import Engine

_LAST_LINES_S = 5  # after the end of the container


class Follower:
    """Follows the log of one container.

    Args:
        engine: Where it runs.
        container: The container.
        line: Called with `stdout` or `stderr`, and a line.
    """

    def __init__(self, engine: Engine, container: Container, line: Callable[[str, str], None]) -> None:
        self._command = engine.command("logs", "--follow", container.id)
        self._line = line
        self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command.arguments,
            env=self._command.environment,
            cwd=self._command.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1024 * 1024,
        )
        try:
            await asyncio.gather(self._read("stdout", process.stdout), self._read("stderr", process.stderr))
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _read(self, stream: str, pipe: asyncio.StreamReader | None) -> None:
        while pipe:
            try:
                line = await pipe.readline()
            except ValueError:  # longer than the limit, and dropped
                continue
            if not line:
                return
            self._line(stream, line.decode(errors="replace").rstrip("\r\n"))

    async def finish(self) -> None:
        """Waits for the last lines of a container that has ended, and ends."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._task, _LAST_LINES_S)
