"""Asks one address again and again, with the packages of the image; prints requests per second: URL CALLS AT_A_TIME."""

import asyncio
import os
import sys
import time

import aiohttp


async def main() -> None:
    """Ends with an error when an answer is not 200."""
    url, calls, at_a_time = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    left = iter(range(calls))

    async def client(session: aiohttp.ClientSession) -> None:
        for _ in left:
            async with session.get(url) as answer:
                await answer.read()
                answer.raise_for_status()

    async with aiohttp.ClientSession(headers=headers) as session:
        start = time.monotonic()
        await asyncio.gather(*(client(session) for _ in range(at_a_time)))
        sys.stdout.write(f"{calls / (time.monotonic() - start):.1f}\n")


asyncio.run(main())
