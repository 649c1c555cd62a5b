"""Bounds how many requests MLflow works on at a time; the others wait in line, for a bounded time.

A request enters the line when its body has come, and leaves MLflow when its answer begins: a client that is slow in
sending or in reading keeps nobody waiting. What runs at a time finds a thread at once; which of them may use the
database is decided in engine.py.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import anyio.to_thread

from mlflow_cloudrun.logs import App, Message, Receive, Send
from mlflow_cloudrun.refusals import refuse

# Cloud Run's default is 80 requests at a time to one instance, its most 1000.
LINE_LENGTH = 200
LINE_TIMEOUT_S = 20
# start.sh asks this whether MLflow is alive; it runs on the event loop alone.
FREE_PATHS = frozenset({"/health"})
FULL = "The server has more requests waiting than it takes. Try again in some seconds."
LATE = "The server is busy: this request waited in line for too long. Try again in some seconds."


class Line:
    """ASGI middleware: lets a bounded number of requests in at a time.

    Args:
        app: What answers.
        at_a_time: How many requests it works on at a time.
    """

    def __init__(self, app: App, at_a_time: int) -> None:
        self.app = app
        self.at_a_time = at_a_time
        self.places = asyncio.Semaphore(at_a_time)
        self.waiting = 0

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
        problem = await self.wait()
        if problem:
            await refuse(send, 503, "TEMPORARILY_UNAVAILABLE", problem, retry=True)
            return
        messages = iter(body)
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self.places.release()

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

    async def wait(self) -> str:
        """Waits for a place in MLflow; returns what to say if none comes."""
        if self.waiting >= LINE_LENGTH:
            return FULL
        self.waiting += 1
        try:
            async with asyncio.timeout(LINE_TIMEOUT_S):
                await self.places.acquire()
        except TimeoutError:
            return LATE
        finally:
            self.waiting -= 1
        return ""
