"""Bounds how many requests MLflow works on at a time; the others wait in line, for a bounded time.

Each person has a line of their own, and the lines take turns: who calls without a pause keeps nobody else waiting.
Robots are people here, by the address of their service account.

A request enters the line when its body has come, and leaves MLflow when its answer begins: a client that is slow in
sending or in reading keeps nobody waiting. What runs at a time finds a thread at once; which of them may use the
database is decided in engine.py.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor

import anyio.to_thread

from mlflow_cloudrun.identity import address
from mlflow_cloudrun.logs import App, Message, Receive, Send
from mlflow_cloudrun.refusals import refuse

# Cloud Run's default is 80 requests at a time to one instance, its most 1000.
LINE_LENGTH = 200
LINE_TIMEOUT_S = 20
# start.sh asks this whether MLflow is alive; it runs on the event loop alone.
FREE_PATHS = frozenset({"/health"})
FULL = "The server has more requests waiting than it takes, most of them yours. Try again in some seconds."
LATE = "The server is busy: this request waited in line for too long. Try again in some seconds."


class Turns:
    """Places for which each person waits in a line of their own; the lines take turns.

    Args:
        places: How many there are.
        of_one: How many of them one person may have: somebody else finds one free.
        length: How many may wait.
    """

    def __init__(self, places: int, *, of_one: int, length: int = LINE_LENGTH) -> None:
        self.free = places
        self.of_one = of_one
        self.length = length
        self.taken: Counter[str] = Counter()
        self.lines: OrderedDict[str, deque[asyncio.Future[bool]]] = OrderedDict()

    async def take(self, person: str) -> bool:
        """Waits for a place; returns False if too many wait, this person more than any other.

        Raises:
            TimeoutError: None came free in time.
        """
        turn = asyncio.get_running_loop().create_future()
        self.lines.setdefault(person, deque()).append(turn)
        self.serve()
        if sum(map(len, self.lines.values())) > self.length:
            max(self.lines.values(), key=len)[-1].set_result(False)
            self.tidy()
        try:
            async with asyncio.timeout(LINE_TIMEOUT_S):
                return await turn
        except BaseException:  # too late, or the client has left
            if turn.done() and not turn.cancelled() and turn.result():
                self.give(person)
            self.tidy()
            raise

    def give(self, person: str) -> None:
        """Gives a place back."""
        self.free += 1
        self.taken[person] -= 1
        self.serve()

    def serve(self) -> None:
        """Gives free places to the first of each line that may have more, one after the other."""
        while self.free and (person := next((name for name in self.lines if self.taken[name] < self.of_one), None)):
            turn = self.lines[person].popleft()
            self.lines.move_to_end(person)
            self.tidy()
            self.free -= 1
            self.taken[person] += 1
            turn.set_result(True)

    def tidy(self) -> None:
        """Forgets who does not wait any more."""
        for person, line in list(self.lines.items()):
            waiting = deque(turn for turn in line if not turn.done())
            if waiting:
                self.lines[person] = waiting
            else:
                del self.lines[person]
        self.taken += Counter()  # drops the zeros


class Line:
    """ASGI middleware: lets a bounded number of requests in at a time.

    Args:
        app: What answers.
        at_a_time: How many requests it works on at a time.
        of_one: How many of these may be of one person.
    """

    def __init__(self, app: App, at_a_time: int, of_one: int) -> None:
        self.app = app
        self.at_a_time = at_a_time
        self.turns = Turns(at_a_time, of_one=of_one)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes the request on when its turn has come, or refuses it."""
        if scope["type"] == "lifespan":  # the threads belong to the event loop, which runs from here on
            self.provide_threads()
        if scope["type"] != "http" or scope["path"] in FREE_PATHS:
            await self.app(scope, receive, send)
            return
        body = [message := await receive()]
        while message.get("more_body", False):
            body.append(message := await receive())
        if message["type"] == "http.disconnect":  # MLflow would take what has come for the whole
            return
        person = address(scope["headers"])
        problem = await self.wait(person)
        if problem:
            await refuse(send, 503, "TEMPORARILY_UNAVAILABLE", problem, retry=True)
            return
        messages = iter(body)
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self.turns.give(person)

        async def read() -> Message:
            return next(messages, None) or await receive()

        async def answer(message: Message) -> None:
            leave()
            await send(message)

        try:
            await self.app(scope, read, answer)
        finally:
            leave()

    def provide_threads(self) -> None:
        """Sees to it that a request which was let in never waits for a thread."""
        # Flask and plain functions: https://anyio.readthedocs.io/en/stable/threads.html#adjusting-the-default-maximum-worker-thread-count
        anyio.to_thread.current_default_thread_limiter().total_tokens = self.at_a_time
        # asyncio.to_thread, in which traces are stored
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(self.at_a_time, "request"))

    async def wait(self, person: str) -> str:
        """Waits for a place in MLflow; returns what to say if none comes."""
        try:
            return "" if await self.turns.take(person) else FULL
        except TimeoutError:
            return LATE
