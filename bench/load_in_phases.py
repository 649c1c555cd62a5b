"""Asks MLflow one kind of call after the other: ADDRESS HOST CLIENTS CALLS SECONDS. Runs in the image and outside.

HOST is the name that MLflow expects to be asked by; TOKEN, a variable, is an identity token.

Every client has a run and a connection of its own. A phase ends after so many calls or seconds, whichever comes first.
Prints JSON: kind of call -> the phase's seconds, and the latency of each call in milliseconds. Ends with an error when
an answer is not 200.
"""

import asyncio
import json
import os
import sys
import time

import aiohttp

API = "/api/2.0/mlflow"
EXPERIMENT = "0"
METRICS_IN_A_BATCH = 20


def log_metric(run_id: str, step: int) -> dict[str, object]:
    """One value of one metric."""
    return {"run_id": run_id, "key": "loss", "value": 1 / (step + 1), "timestamp": milliseconds(), "step": step}


def search(_run_id: str, _step: int) -> dict[str, object]:
    """The search of an experiment's page, 20 rows of it."""
    return {"experiment_ids": [EXPERIMENT], "max_results": 20, "order_by": ["attributes.start_time DESC"]}


def log_batch(run_id: str, step: int) -> dict[str, object]:
    """Several metrics of one step."""
    now = milliseconds()
    metrics = [{"key": f"m{i}", "value": i, "timestamp": now, "step": step} for i in range(METRICS_IN_A_BATCH)]
    return {"run_id": run_id, "metrics": metrics}


KINDS = {"runs/log-metric": log_metric, "runs/search": search, "runs/log-batch": log_batch}


def milliseconds() -> int:
    """Now, as MLflow counts."""
    return int(time.time() * 1000)


async def phase(session: aiohttp.ClientSession, kind: str, runs: list[str], calls: int, seconds: int) -> object:
    """Runs one client for each run, side by side."""
    steps, latencies = iter(range(calls)), list[float]()
    start = time.monotonic()

    async def client(run_id: str) -> None:
        for step in steps:
            before = time.monotonic()
            if before - start > seconds:
                return
            async with session.post(f"{API}/{kind}", json=KINDS[kind](run_id, step)) as answer:
                await answer.read()
            latencies.append(1000 * (time.monotonic() - before))

    await asyncio.gather(*(client(run_id) for run_id in runs))
    return {"seconds": time.monotonic() - start, "latencies": latencies}


async def main() -> None:
    """Makes the runs, then goes through the kinds."""
    address, host, *numbers = sys.argv[1:]
    clients, calls, seconds = map(int, numbers)
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}", "Host": host}
    async with aiohttp.ClientSession(address, headers=headers, raise_for_status=True) as session:

        async def create_run(number: int) -> str:
            body = {"experiment_id": EXPERIMENT, "run_name": f"load-{number}", "start_time": milliseconds()}
            async with session.post(f"{API}/runs/create", json=body) as answer:
                return (await answer.json())["run"]["info"]["run_id"]

        # Each opens a connection, so that no phase does.
        runs = list(await asyncio.gather(*(create_run(number) for number in range(clients))))
        json.dump({kind: await phase(session, kind, runs, calls, seconds) for kind in KINDS}, sys.stdout)


asyncio.run(main())
