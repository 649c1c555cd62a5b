"""Takes the commands of other processes through a socket that this user alone can open: one JSON line each way."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.commands import jobs, logging, sql, storage
from localcloud.commands import run as cloud_run
from localcloud.commands.commands import Answer, Call, run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from localcloud.machine.machine import Machine
    from localcloud.resource import Cloud

COMMANDS = {**sql.COMMANDS, **storage.COMMANDS, **cloud_run.COMMANDS, **jobs.COMMANDS, **logging.COMMANDS}
_LIMIT = 1024 * 1024  # bytes; a command line is shorter
_PROJECT, _REGION = "CLOUDSDK_CORE_PROJECT", "CLOUDSDK_RUN_REGION"


@asynccontextmanager
async def serving(cloud: Cloud, machine: Machine) -> AsyncGenerator[str]:
    """Serves for as long as the context lasts; yields the path of the socket."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked: dict[str, Any] = json.loads(await reader.readline())
        environment: Mapping[str, str] = asked["environment"]
        call = Call(
            cloud=cloud,
            machine=machine,
            project=environment.get(_PROJECT, cloud.project),
            region=environment.get(_REGION, cloud.region),
        )
        done = await asyncio.to_thread(run, COMMANDS, call, asked["arguments"])
        writer.write(json.dumps(asdict(done)).encode() + b"\n")
        await writer.drain()
        writer.close()

    with tempfile.TemporaryDirectory(prefix="localcloud-") as folder:
        path = Path(folder, "gcloud.sock")
        async with await asyncio.start_unix_server(answer, path, limit=_LIMIT):
            yield str(path)


def ask(path: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Answer:
    """Has a command run by the process that serves at a socket; blocks until it is done."""
    sent = {name: environment[name] for name in (_PROJECT, _REGION) if environment.get(name)}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        with connection.makefile("rw") as stream:
            stream.write(json.dumps({"arguments": [*arguments], "environment": sent}) + "\n")
            stream.flush()
            return Answer(**json.loads(stream.readline()))
