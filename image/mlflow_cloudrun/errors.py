"""Errors become whole answers that say what is wrong, with the details only in the log.

MLflow puts the database's own words into its answers, with the statement and what it was given, and takes a pool's
timeout for a bad request. Some of its code takes any failure for "does not exist". Here an error is translated where it
arises, and a request that met a database out of reach is answered 503, whatever MLflow made of it.
"""

import logging
import traceback
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Flask, Response, request
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
from sqlalchemy import exc
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from mlflow_cloudrun.logs import App, Message, Receive, Send
from mlflow_cloudrun.refusals import refuse
from mlflow_cloudrun.searches import STATEMENT_TIMEOUT_S

BUSY = "The server is busy: no connection to the database came free in time. Try again in some seconds."
UNAVAILABLE = "The database cannot be reached at the moment. Try again in some seconds."
SLOW = (
    f"The database did not finish this search within {STATEMENT_TIMEOUT_S} s. Narrow it: fewer experiments, fewer "
    "conditions or sort keys, a later start, a shorter page."
)
DEADLOCK = "The database ended this request, which was in a deadlock with another one. Try again."
CONFLICT = "The database refused it: what it names exists already, or refers to what does not exist."
PATTERN = "The database cannot read the regular expression of this search."
REFUSED = "The database refused a value: it is too long, out of range, or has a character that cannot be stored."
FAILED = "The server failed to answer. The administrator finds the reason in the log, at the time of this request."
FORM_ERRORS = (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError)
READERS_OF_REQUESTS = {"_get_request_message", "_get_validated_flask_request_json", "parse_dict"}
# Calls that may be made twice. Their answer of success may hide that something was not done or not found.
REPEATABLE_METHODS = frozenset({"GET", "HEAD"})
REPEATABLE_PATHS = frozenset({"/v1/traces", "/graphql"})
BAD_REQUEST, UNAVAILABLE_STATUS = 400, 503
LONGEST_REASON = 200

logger = logging.getLogger(__name__)


@dataclass
class Outage:
    """The outage that a request met; empty unless the database was out of reach for it."""

    sentence: str = ""
    status: int = 503
    error_code: str = "TEMPORARILY_UNAVAILABLE"


outage: ContextVar[Outage | None] = ContextVar("outage", default=None)


def note(
    sentence: str,
    *,
    status: int = 503,
    error_code: str = "TEMPORARILY_UNAVAILABLE",
    kind: type[MlflowException] = MlflowException,
) -> MlflowException:
    """Remembers what the request's answer must be; returns what to raise.

    MLflow's client sends again what was answered 503, and not what was answered 400 or 422.
    """
    met = outage.get()
    if met is not None:
        met.sentence, met.status, met.error_code = sentence, status, error_code
    return kind(sentence, error_code=TEMPORARILY_UNAVAILABLE)


def forget() -> None:
    """Takes back what was remembered: the request is being worked on in another way."""
    met = outage.get()
    if met is not None:
        met.sentence = ""


def busy() -> MlflowException:
    """Returns what to raise when the database has too much to do."""
    logger.warning("No connection to the database came free in time")
    return note(BUSY)


def too_long(sentence: str) -> MlflowException:
    """Returns what to raise for a value that MLflow would put into its answer, all of it, instead of the reason."""
    return note(sentence, status=BAD_REQUEST, error_code="INVALID_PARAMETER_VALUE")


# SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
# Numbers: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
DEADLOCKS = {"40P01", "40001", 1213}
OUT_OF_TIME = {"57014", 3024, 1969}
BAD_PATTERN = "2201B"
# Too many connections, out of memory, shutting down; a lock that does not come.
UNAVAILABLE_CODES = {"53000", "53100", "53200", "53300", "53400", "55P03", "57P01", "57P02", "57P03", "57P05", "25P03"}
UNAVAILABLE_NUMBERS = {1037, 1038, 1040, 1041, 1053, 1205, 2002, 2003, 2006, 2013, 2055}


def code_of(error: BaseException) -> str | int | None:
    """Returns psycopg2's SQLSTATE or pymysql's number; None for an error of another kind."""
    state: str | None = getattr(error, "pgcode", None)
    number = error.args[0] if error.args and isinstance(error.args[0], int) else None
    return state or number


def translate(context: ExceptionContext) -> MlflowException | None:
    """Replaces the database's words by ours, for `sqlalchemy.event` "handle_error".

    Returns:
        What is raised in its place; None where MLflow acts on the error's own class, whose text then is ours.
    """
    error, wrapped = context.original_exception, context.sqlalchemy_exception
    if isinstance(error, MlflowException) or not isinstance(error, Exception):
        return None
    code = code_of(error)
    if not context.is_pre_ping:
        logger.warning("Database error %s: %s in %s", code, error, context.statement)
    without_connection = context.connection is None and not context.is_pre_ping
    if context.is_disconnect or without_connection or code in UNAVAILABLE_CODES | UNAVAILABLE_NUMBERS:
        return None if context.is_pre_ping else note(UNAVAILABLE)
    if code in OUT_OF_TIME:
        search = (context.statement or "").startswith(("SELECT", "WITH"))
        return note(SLOW, status=422, error_code="DEADLINE_EXCEEDED") if search else note(BUSY)
    if wrapped is None:
        return None
    if code in DEADLOCKS:
        words = DEADLOCK  # MLflow tries again where it reads this word
    elif code == BAD_PATTERN:
        words = PATTERN
    elif isinstance(wrapped, exc.IntegrityError):
        words = CONFLICT
    elif isinstance(wrapped, exc.DataError) or not isinstance(wrapped, exc.DBAPIError):
        words = REFUSED
    else:
        return MlflowException(FAILED, error_code=INTERNAL_ERROR)
    wrapped.args, wrapped.statement, wrapped.params, wrapped.code = (words,), None, None, None
    wrapped.add_detail = lambda _: None  # pyright: ignore[reportAttributeAccessIssue]  of SQLAlchemy's session
    return None


def of_the_request(error: BaseException) -> bool:
    """Returns whether an exception of Python's own comes from a value of the request, or from its form.

    MLflow's handlers turn a request into calls of a store: what fails in them, and not below, does so for its form.
    """
    if isinstance(error, ValueError):
        return True
    places = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not places or not isinstance(error, FORM_ERRORS):
        return False
    in_a_handler = str(places[-1].f_globals.get("__name__")).startswith(("mlflow.server.", "mlflow.utils.validation"))
    return in_a_handler or any(frame.f_code.co_name in READERS_OF_REQUESTS for frame in places)


def flask_answer(error: Exception) -> Response | HTTPException:
    """Answers for a handler of Flask that failed, in place of Flask's page."""
    if isinstance(error, HTTPException):
        return error
    if of_the_request(error):
        logger.warning("Unreadable value in %s %s", request.method, request.path, exc_info=error)
        error = unreadable(error)
    if not isinstance(error, MlflowException):
        logger.error("Unhandled exception in %s %s", request.method, request.path, exc_info=error)
        error = MlflowException(FAILED, error_code=INTERNAL_ERROR)
    return Response(error.serialize_as_json(), error.get_http_status_code(), mimetype="application/json")


def unreadable(error: BaseException) -> MlflowException:
    """Returns what to raise where MLflow trips over a value: clients would send what was answered 500 for minutes."""
    said = str(error)[:LONGEST_REASON]
    message = f"A value of this request is not of the form that MLflow expects (token, number, word or JSON): {said}"
    return MlflowException(message, error_code=INVALID_PARAMETER_VALUE)


def reading_values(make: Callable[..., Callable[..., AbstractContextManager[Session]]]) -> Callable[..., Any]:
    """Wraps MLflow's maker of sessions with the database, which takes any failure for one of the server."""

    @wraps(make)
    def make_reading(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        managed = make(*arguments, **options)

        @contextmanager
        def session(*arguments: Any, **options: Any) -> Generator[Session]:  # noqa: ANN401
            try:
                with managed(*arguments, **options) as opened:
                    yield opened
            except MlflowException as error:
                if isinstance(cause := error.__cause__, FORM_ERRORS):
                    logger.warning("Unreadable value", exc_info=cause)
                    raise unreadable(cause) from error
                raise

        return session

    return make_reading


def install(app: Flask) -> None:
    """Sees to it that Flask, which stands within FastAPI, words its errors as everything else does."""
    app.register_error_handler(Exception, flask_answer)


class WholeErrors:
    """ASGI middleware: every error is a whole answer.

    An exception that reaches Starlette is answered and raised once more, whereupon uvicorn closes a connection that
    oauth2-proxy is about to use for somebody else's request: that one would get 502.
    https://github.com/encode/starlette/blob/main/starlette/middleware/errors.py
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes the request on; answers in the application's place if it fails.

        Raises:
            Exception: The application's, if the answer had begun: then only the connection's end can tell the client.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        met = Outage()
        outage.set(met)
        started = replaced = ended = False
        repeatable = scope["method"] in REPEATABLE_METHODS or scope["path"] in REPEATABLE_PATHS

        async def answer(message: Message) -> None:
            nonlocal started, replaced, ended
            if replaced:
                return
            starting, started = not started, True
            if starting and met.sentence and (repeatable or message["status"] >= BAD_REQUEST):
                replaced = ended = True
                await refuse(send, met.status, met.error_code, met.sentence, retry=met.status == UNAVAILABLE_STATUS)
                return
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await self.app(scope, receive, answer)
        except Exception as error:
            if started and not ended:
                raise
            if not started and of_the_request(error):
                logger.warning("Unreadable value in %s %s", scope["method"], scope["path"], exc_info=error)
                await refuse(send, BAD_REQUEST, "INVALID_PARAMETER_VALUE", str(unreadable(error).message))
                return
            logger.exception("Unhandled exception in %s %s", scope["method"], scope["path"])
            if not started:
                await refuse(send, 500, "INTERNAL_ERROR", FAILED)
