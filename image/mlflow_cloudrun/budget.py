"""Bytes that all requests together may hold; whoever wants more than is left waits in line."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mlflow_cloudrun.limits import LimitError

BUSY = "The server is busy: other requests use the memory that this one needs. Nothing was changed; try again."


class Budget:
    """A number of bytes that requests take and give back, first come, first served.

    A request takes all that it needs at once: with two steps, some could each hold what the others wait for.

    Args:
        size: Bytes that are there to take.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.left = size
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, count: int, seconds: float) -> None:
        """Waits for its turn and takes the bytes.

        Raises:
            TimeoutError: They were not free in time; none is taken.
        """
        assert count <= self.size  # noqa: S101  or it would wait for ever
        turn = asyncio.get_running_loop().create_future()
        place = (count, turn)
        self._line.append(place)
        self._serve()
        try:
            await asyncio.wait_for(turn, seconds)
        except BaseException:  # time is up, or the client left
            if place in self._line:
                self._line.remove(place)
            elif not turn.cancelled():
                self.left += count
            self._serve()
            raise

    def give(self, count: int) -> None:
        """Gives bytes back."""
        self.left += count
        self._serve()

    def _serve(self) -> None:
        while self._line and self._line[0][0] <= self.left:
            count, turn = self._line.popleft()
            if not turn.done():
                self.left -= count
                turn.set_result(None)


class Share:
    """The share of one request in a budget."""

    def __init__(self, budget: Budget, size: int) -> None:
        self.budget = budget
        self.size = size

    def shrink(self, size: int) -> None:
        """Gives back what is not needed after all."""
        self.budget.give(self.size - size)
        self.size = size


class Lanes:
    """Two budgets: few large requests must not make the many small ones wait.

    Args:
        small: Bytes of the small requests' budget.
        large: Bytes of the large requests' budget.
        smallest_large: From so many bytes on a request is a large one.
    """

    def __init__(self, *, small: int, large: int, smallest_large: int) -> None:
        self.small = Budget(small)
        self.large = Budget(large)
        self.smallest_large = smallest_large

    @asynccontextmanager
    async def share(self, size: int, seconds: float) -> AsyncGenerator[Share]:
        """Holds bytes while the block runs.

        Raises:
            LimitError: They were not free in time.
        """
        budget = self.large if size >= self.smallest_large else self.small
        try:
            await budget.take(size, seconds)
        except TimeoutError as error:
            raise LimitError(503, BUSY) from error
        share = Share(budget, size)
        try:
            yield share
        finally:
            budget.give(share.size)
