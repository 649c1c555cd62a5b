"""Numbers in query strings: those that MLflow reads without a look, and how long a page may be."""

import re
from urllib.parse import parse_qsl, urlencode

from mlflow_cloudrun.logs import App, Message, Receive, Send
from mlflow_cloudrun.refusals import refuse

# MLflow calls int() on them and answers 500 if that fails.
INTEGERS = {
    "max_results": re.compile(r"[0-9]{1,18}"),
    "start_step": re.compile(r"-?[0-9]{1,18}"),
    "end_step": re.compile(r"-?[0-9]{1,18}"),
}
# Without max_results MLflow reads the whole history, a million points or more, into memory several times. Its client
# asks for pages of this length: mlflow.store.tracking.GET_METRIC_HISTORY_MAX_RESULTS. The answer names the next page.
HISTORY = re.compile(r"/(ajax-)?api/2\.0/mlflow/metrics/get-history/?$")
HISTORY_PAGE = 25_000


class BoundedQueries:
    """ASGI middleware: refuses numbers that are none, and bounds the page of a metric's history.

    Args:
        app: What answers.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes the request on, or refuses it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if not scope["query_string"].isascii():
            await refuse(send, 400, "INVALID_PARAMETER_VALUE", "The query must be percent-encoded.")
            return
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        for name, value in pairs:
            if name in INTEGERS and not INTEGERS[name].fullmatch(value):
                message = f"The parameter {name!r} must be an integer of 18 digits at most"
                message += ", and not negative." if name == "max_results" else "."
                await refuse(send, 400, "INVALID_PARAMETER_VALUE", message)
                return
        if HISTORY.match(scope["path"]) and pairs:
            scope = {**scope, "query_string": with_page(pairs)}
        await self.app(scope, receive, send)


def with_page(pairs: list[tuple[str, str]]) -> bytes:
    """Returns the query string of a metric's history with a page of a bounded length."""
    wanted = dict(pairs).get("max_results")
    page = HISTORY_PAGE if wanted is None else min(int(wanted), HISTORY_PAGE)
    return urlencode(
        [*((name, value) for name, value in pairs if name != "max_results"), ("max_results", page)]
    ).encode()
