"""What goes by the local cloud's clock does at once what is due when that is pushed, and whoever pushed it can wait."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from harness.waiting import wait_for
from localcloud.clock import Clock
from localcloud.machine.periodic import Periodic

if TYPE_CHECKING:
    from localcloud.resource import Cloud


class Hourly(Periodic):
    """Counts how often it is its turn."""

    every_s = 3_600

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.times = 0

    async def tick(self) -> None:
        self.times += 1
        if self.times == 2:
            raise ValueError("the next time is another try")


def test_a_push_of_the_clock_is_noticed_by_those_who_go_by_it(cloud: Cloud) -> None:
    async def story() -> int:
        hourly, pushing = Hourly(Clock(cloud.store)), Clock(cloud.store)
        assert not pushing.is_noticed(pushing.now())  # nobody goes by it yet
        hourly.open()
        for _ in range(3):
            then = pushing.push(timedelta(hours=2))
            await asyncio.to_thread(wait_for, lambda then=then: pushing.is_noticed(then), "its turn")
        await hourly.close()
        return hourly.times

    assert asyncio.run(story()) >= 3
