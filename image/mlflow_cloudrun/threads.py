"""Keeps MLflow's worker threads from waiting for each other's database connections.

MLflow's log-batch holds one connection while it asks the pool for a second (`log_batch` calls `_log_params`,
`_log_metrics` and `_set_tags`, which open sessions of their own). As many such calls at a time as the pool has
connections all wait until the pool's timeout of 30 s and answer 400. With half as many threads this cannot happen.
"""

import anyio.to_thread

from mlflow_cloudrun.logs import App, Message, Receive, Send

CONNECTIONS_PER_THREAD = 2


class BoundedThreads:
    """ASGI middleware: bounds the threads in which requests are worked on.

    Args:
        app: What answers.
        connections: Most connections that the pool hands out at a time.
    """

    def __init__(self, app: App, connections: int) -> None:
        self.app = app
        self.threads = max(1, connections // CONNECTIONS_PER_THREAD)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes everything on; sets the bound when the server starts."""
        if scope["type"] == "lifespan":  # the limit belongs to the event loop, which runs from here on
            # https://anyio.readthedocs.io/en/stable/threads.html#adjusting-the-default-maximum-worker-thread-count
            anyio.to_thread.current_default_thread_limiter().total_tokens = self.threads
        await self.app(scope, receive, send)
