"""Creates runs, logs batches and metrics, reads and searches, with the packages of the image: ADDRESS CALLS AT_A_TIME.

Prints how many answers of 200 came a second, and how many calls were answered otherwise.
"""

import asyncio
import os
import sys
import time

import aiohttp

API = "/api/2.0/mlflow"
EXPERIMENT = "0"


def call(number: int, run_id: str) -> tuple[str, str, dict[str, object] | None]:
    """Returns method, path and body of one call of the mix."""
    now = int(time.time() * 1000)
    metrics = [{"key": f"m{i}", "value": i, "timestamp": now, "step": number} for i in range(20)]
    kinds: tuple[tuple[str, str, dict[str, object] | None], ...] = (
        ("POST", "runs/create", {"experiment_id": EXPERIMENT, "run_name": f"load-{number}"}),
        ("POST", "runs/log-batch", {"run_id": run_id, "metrics": metrics}),
        ("POST", "runs/log-metric", {"run_id": run_id, "key": "a", "value": number, "timestamp": now}),
        ("POST", "runs/search", {"experiment_ids": [EXPERIMENT], "max_results": 20}),
        ("GET", f"runs/get?run_id={run_id}", None),
    )
    return kinds[number % len(kinds)]


async def main() -> None:
    """Runs the clients side by side."""
    address, calls, at_a_time = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    numbers = iter(range(calls))
    failed = 0

    async def client(session: aiohttp.ClientSession, run_id: str) -> None:
        nonlocal failed
        for number in numbers:
            method, path, body = call(number, run_id)
            async with session.request(method, f"{API}/{path}", json=body) as answer:
                await answer.read()
                failed += not answer.ok

    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    async with aiohttp.ClientSession(address, headers=headers) as session:
        async with session.post(
            f"{API}/runs/create", json={"experiment_id": EXPERIMENT}, raise_for_status=True
        ) as answer:
            run_id = (await answer.json())["run"]["info"]["run_id"]
        start = time.monotonic()
        await asyncio.gather(*(client(session, run_id) for _ in range(at_a_time)))
        sys.stdout.write(f"{(calls - failed) / (time.monotonic() - start):.1f} {failed}\n")


asyncio.run(main())
