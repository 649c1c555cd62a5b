"""Calls under load, and what was promised to the callers."""

import threading
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx

from harness.databases import Postgres
from harness.service import Service
from harness.waiting import wait_for

API = "/api/2.0/mlflow"
EXPERIMENT = "0"  # Default, which every new database has


@dataclass
class Writers:
    """Clients that create runs without a pause, and remember which ones the server said it had created."""

    service: Service
    acknowledged: set[str] = field(default_factory=set[str])
    answers: Counter[str] = field(default_factory=Counter[str])
    stopping: threading.Event = field(default_factory=threading.Event)

    def write(self, worker: int) -> None:
        """One client: a connection and a token of its own."""
        with httpx.Client(base_url=self.service.url, headers=self.service.bearer(), timeout=30) as http:
            for number in count():
                if self.stopping.is_set():
                    return
                name = f"worker-{worker}-run-{number}"
                body = {"experiment_id": EXPERIMENT, "run_name": name, "start_time": int(time.time() * 1000)}
                try:
                    answer = http.post(f"{API}/runs/create", json=body)
                except httpx.TransportError as error:
                    self.answers[type(error).__name__] += 1
                    continue
                self.answers[str(answer.status_code)] += 1
                if answer.status_code == 200:
                    self.acknowledged.add(name)

    def lost(self, postgres: Postgres, database: str) -> set[str]:
        """Returns the acknowledged runs that are not in the database."""
        return self.acknowledged - {str(row[0]) for row in postgres.execute("SELECT name FROM runs", database=database)}


@contextmanager
def writing(service: Service, *, clients: int = 8) -> Generator[Writers]:
    """Writes while the block runs; enters it when the first writes were acknowledged."""
    writers = Writers(service)
    with ThreadPoolExecutor(clients) as pool:
        futures = [pool.submit(writers.write, worker) for worker in range(clients)]
        try:
            wait_for(lambda: len(writers.acknowledged) >= clients, "first writes")
            yield writers
        finally:
            writers.stopping.set()
    for future in futures:
        future.result()


def mixed_calls(service: Service, *, calls: int, at_a_time: int) -> Counter[int]:
    """Creates runs, logs metrics in batches, reads and searches; returns how often each status came.

    Args:
        service: Whom to ask, through the proxy.
        calls: How many calls in all.
        at_a_time: How many clients.
    """
    headers = service.bearer()
    limits = httpx.Limits(max_connections=at_a_time, max_keepalive_connections=at_a_time)
    with httpx.Client(base_url=service.url, headers=headers, timeout=60, limits=limits) as http:
        created = http.post(f"{API}/runs/create", json={"experiment_id": EXPERIMENT, "run_name": "mixed"}).json()
        run_id = created["run"]["info"]["run_id"]

        def call(number: int) -> int:
            now = int(time.time() * 1000)
            metrics = [{"key": f"m{i}", "value": i, "timestamp": now, "step": number} for i in range(20)]
            kinds = (
                ("POST", "runs/create", {"experiment_id": EXPERIMENT, "run_name": f"mixed-{number}"}),
                ("POST", "runs/log-batch", {"run_id": run_id, "metrics": metrics}),
                ("POST", "runs/log-metric", {"run_id": run_id, "key": "a", "value": number, "timestamp": now}),
                ("POST", "runs/search", {"experiment_ids": [EXPERIMENT], "max_results": 20}),
                ("GET", f"runs/get?run_id={run_id}", None),
            )
            method, path, body = kinds[number % len(kinds)]
            return http.request(method, f"{API}/{path}", json=body).status_code

        with ThreadPoolExecutor(at_a_time) as pool:
            return Counter(pool.map(call, range(calls)))
