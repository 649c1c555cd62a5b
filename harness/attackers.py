"""Requests that should bring the service down, many at a time, and what they did to its memory.

`python -m harness.anonymous` and `python -m harness.heavy` print the table for the image of this tree; an instance
that was killed is started again. Requests are written as bytes: a client's library would refuse to send most of them.
"""

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from containers.container import Container, EngineError
from harness import local
from harness.service import Platform, Service
from harness.waiting import wait_for

MIB = 1024 * 1024
PARALLEL = (1, 40, 80)
SAMPLE_S = 0.05
SERVED_DEADLINE_S = 30


@dataclass(frozen=True, kw_only=True)
class Request:
    """The request of one attacker.

    Attributes:
        head: All that comes before the body, as it goes over the wire.
        piece: What the body is made of.
        pieces: How many of them.
        pause_s: How long to wait after each piece.
        patience_s: How long to wait for an answer before the attacker leaves, in seconds.
    """

    head: bytes
    piece: bytes = b""
    pieces: int = 0
    pause_s: float = 0
    patience_s: float = 20


def post(
    path: str, *, headers: Mapping[str, str] | None = None, length: int | None = None, version: str = "1.1"
) -> bytes:
    """Returns the head of a POST request; without a length its body is chunked, which the pieces must be then."""
    framing = {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
    return head("POST", path, {**framing, **(headers or {})}, version=version)


def head(method: str, path: str, headers: Mapping[str, str], *, version: str = "1.1") -> bytes:
    """Returns request line and headers."""
    lines = [
        f"{method} {path} HTTP/{version}",
        "Host: 127.0.0.1",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(content: bytes) -> bytes:
    """Returns one chunk of a body without a length."""
    return b"%x\r\n%b\r\n" % (len(content), content)


async def _send(writer: asyncio.StreamWriter, request: Request) -> None:
    with suppress(ConnectionError):
        writer.write(request.head)
        for _ in range(request.pieces):
            writer.write(request.piece)
            await writer.drain()
            if request.pause_s:
                await asyncio.sleep(request.pause_s)


async def _ask(port: int, request: Request) -> str:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return "refused"
    sending = asyncio.create_task(_send(writer, request))
    try:
        line = await asyncio.wait_for(reader.readline(), request.patience_s)
        while line.startswith(b"HTTP/1.1 100"):
            await reader.readline()
            line = await asyncio.wait_for(reader.readline(), request.patience_s)
        return line.split()[1].decode() if line.startswith(b"HTTP/") else "closed"
    except TimeoutError:
        return "silence"
    except (OSError, ValueError):
        return "closed"
    finally:
        sending.cancel()
        writer.close()


def attack(service: Service, request: Request, *, parallel: int) -> Counter[str]:
    """Sends the request from so many connections at once.

    Returns:
        How often each status came, or `closed` (the connection ended without one), `silence` (the attacker's patience
        ended first) or `refused` (there was nobody to connect to).
    """
    port = urlsplit(service.url).port or 80

    async def ask_all() -> list[str]:
        return await asyncio.gather(*(_ask(port, request) for _ in range(parallel)))

    return Counter(asyncio.run(ask_all()))


Attacker = Callable[..., Counter[str]]  # takes the service, what is sent, and `parallel`


@contextmanager
def peak_of(container: Container, sample_s: float = SAMPLE_S) -> Generator[list[float]]:
    """Samples the working set in MiB while the block runs; the list's maximum is the peak."""
    samples = [container.memory_mib()]
    stop = threading.Event()

    def sample() -> None:
        with suppress(OSError, EngineError):  # the container has ended
            while not stop.wait(sample_s):
                samples.append(container.memory_mib())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


class Outcome(NamedTuple):
    """The outcome of one attack.

    Attributes:
        answers: What the attackers got.
        peak_mib: Most memory of the container meanwhile.
        killed: Whether the kernel killed one of its processes, or it ended.
        served: Whether a person who is signed in was served right after.
    """

    answers: Counter[str]
    peak_mib: float
    killed: bool
    served: bool

    def row(self, name: str, parallel: int) -> str:
        """Returns a line of the table."""
        answers = ", ".join(f"{count} x {answer}" for answer, count in self.answers.most_common())
        verdict = "killed" if self.killed else "lives"
        return (
            f"| {name} | {parallel} | {answers} | {self.peak_mib:.0f} | {verdict} | {'yes' if self.served else 'NO'} |"
        )


HEADER = "| attack | parallel | answers | peak MiB | instance | served after |\n| --- | --- | --- | --- | --- | --- |"


def killed(container: Container) -> bool:
    """Returns whether the kernel killed one of the container's processes; with the last, its control group ends."""
    try:
        return container.memory_kills() > 0
    except OSError:
        return True


def served(service: Service) -> bool:
    """Returns whether somebody who is signed in gets an answer."""

    def answers_or_dead() -> bool:
        try:
            return service.search().is_success
        except httpx.TransportError:
            return not service.container.running

    try:
        wait_for(answers_or_dead, "an answer", deadline_s=SERVED_DEADLINE_S)
    except TimeoutError:
        return False
    return not killed(service.container)


def outcome(service: Service, request: Any, *, parallel: int, attack: Attacker = attack) -> Outcome:
    """Attacks and looks what came of it."""
    with peak_of(service.container) as samples:
        answers = attack(service, request, parallel=parallel)
    dead = killed(service.container)
    return Outcome(answers, max(samples), dead, not dead and served(service))


def table(platform: Platform, attacks: Mapping[str, Any], attack: Attacker = attack) -> None:
    """Prints what comes of each attack, on a new instance after each that was killed."""
    sys.stdout.write(HEADER + "\n")
    uri = platform.postgres.uri(local.migrated_database(platform))
    left = [(name, parallel) for name in attacks for parallel in PARALLEL]
    while left:
        with platform.service(uri) as service:
            alive = True
            while left and alive:
                name, parallel = left.pop(0)
                found = outcome(service, attacks[name], parallel=parallel, attack=attack)
                sys.stdout.write(found.row(name, parallel) + "\n")
                sys.stdout.flush()
                alive = found.served
