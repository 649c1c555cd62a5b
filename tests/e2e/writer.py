"""A client that writes all the time, remembers what was acknowledged, and hides no failure."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from harness.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Generator

    from harness.world import World

_API = "/api/2.0/mlflow"
_MOST = 1_000_000  # steps; nobody writes so long
_WRITES = 5  # that must be acknowledged after a change before it is done with
_PAUSE_S = 0.02
_PAGE = 25_000  # https://mlflow.org/docs/latest/api_reference/rest-api.html: most metrics of a page


@dataclass
class Writer:
    """Logs metrics of one run, from several clients; each request is sent once.

    Attributes:
        acknowledged: The steps that the server said it had written, in the order of its answers.
        failures: How many requests failed, by status or kind.
        longest_s: The longest time between two acknowledged writes.
    """

    world: World
    run_id: str
    acknowledged: list[int] = field(default_factory=list[int])
    failures: Counter[str] = field(default_factory=Counter[str])
    longest_s: float = 0
    _last: float = field(default_factory=time.monotonic)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(cls, world: World) -> Writer:
        with httpx.Client(base_url=world.url, headers=world.bearer(), timeout=60) as http:
            body = {"experiment_id": "0", "start_time": int(time.time() * 1000)}
            created = http.post(f"{_API}/runs/create", json=body).raise_for_status().json()
        return cls(world, created["run"]["info"]["run_id"])

    def _write(self, steps: range) -> None:
        with httpx.Client(base_url=self.world.url, headers=self.world.bearer(), timeout=60) as http:
            for step in steps:
                if self._stopping.wait(_PAUSE_S):
                    return
                body = {"run_id": self.run_id, "key": "loss", "value": step, "step": step, "timestamp": step}
                try:
                    status = http.post(f"{_API}/runs/log-metric", json=body).status_code
                except httpx.TransportError as error:
                    self.failures[type(error).__name__] += 1
                else:
                    self._note(status, step)

    def _note(self, status: int, step: int) -> None:
        if status != 200:
            self.failures[str(status)] += 1
            return
        now = time.monotonic()
        self.longest_s, self._last = max(self.longest_s, now - self._last), now
        self.acknowledged.append(step)

    def goes_on(self) -> None:
        """Waits for more acknowledged writes."""
        before = len(self.acknowledged)
        wait_for(lambda: len(self.acknowledged) >= before + _WRITES, "acknowledged writes", deadline_s=90)

    def lost(self) -> set[int]:
        """The acknowledged steps that the server does not have."""
        found: set[int] = set()
        query = {"run_id": self.run_id, "metric_key": "loss", "max_results": _PAGE}
        with httpx.Client(base_url=self.world.url, headers=self.world.bearer(), timeout=60) as http:
            while True:
                page = http.get(f"{_API}/metrics/get-history", params=query).raise_for_status().json()
                found |= {int(metric["step"]) for metric in page.get("metrics", [])}
                if not page.get("next_page_token"):
                    return set(self.acknowledged) - found
                query["page_token"] = page["next_page_token"]

    def told(self) -> str:
        """What happened, for people."""
        failures = ", ".join(f"{count} x {kind}" for kind, count in sorted(self.failures.items())) or "no failure"
        return f"{len(self.acknowledged)} acknowledged writes, {failures}, longest gap {self.longest_s:.1f} s"


@contextmanager
def writing(world: World, what: str, *, clients: int = 4) -> Generator[Writer]:
    """Writes while the block runs and a little longer; prints what happened, and proves that nothing was lost."""
    writer = Writer.of(world)
    with ThreadPoolExecutor(clients) as pool:
        futures = [pool.submit(writer._write, range(client, _MOST, clients)) for client in range(clients)]
        try:
            writer.goes_on()
            yield writer
            writer.goes_on()
        finally:
            writer._stopping.set()
    for future in futures:
        future.result()
    print(f"{what}: {writer.told()}")
    assert not writer.lost()
