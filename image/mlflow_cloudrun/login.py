"""Logs in to the database as the container's service account, with an access token in place of a password.

Google looks at the token when a connection begins, and never again: each new connection gets one that is valid then.
https://cloud.google.com/sql/docs/postgres/iam-authentication
"""

import threading
from functools import cache
from typing import Any

from google.auth import compute_engine
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from sqlalchemy import Engine, event

from mlflow_cloudrun import ownership

SCOPE = "https://www.googleapis.com/auth/sqlservice.login"
NO_RIGHTS = 1044  # https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html


class Account:
    """The container's service account: https://cloud.google.com/run/docs/container-contract#metadata-server."""

    def __init__(self) -> None:
        self._credentials: Any = compute_engine.Credentials(scopes=[SCOPE])
        self._lock = threading.Lock()

    def token(self) -> tuple[str, str]:
        """Returns its address, and a token that is valid for some minutes more.

        Raises:
            GoogleAuthError: The metadata server gives none.
        """
        with self._lock:
            if not self._credentials.valid:
                self._credentials.refresh(Request())
            return self._credentials.service_account_email, self._credentials.token


@cache
def account() -> Account:
    """Returns the one of this process."""
    return Account()


def connect(dialect: Any, _: object, arguments: Any, options: dict[str, Any]) -> Any:  # noqa: ANN401  SQLAlchemy's
    """Opens a connection, for "do_connect"; one whose URI names a user, or of another engine, is left to SQLAlchemy."""
    if "user" in options or dialect.name not in ("mysql", "postgresql"):
        return None
    try:
        email, token = account().token()
    except GoogleAuthError as error:
        raise dialect.loaded_dbapi.OperationalError(f"the metadata server gives no token: {error}") from error
    mine = {**options, "user": ownership.name_of(email, dialect.name), "password": token}
    owner = ownership.owner_of(options["dbname" if dialect.name == "postgresql" else "database"])
    if dialect.name == "postgresql":  # what it makes shall be everybody's, in the same round trip
        mine["options"] = f"{options.get('options', '')} -c role={owner}"
    try:
        return dialect.connect(*arguments, **mine)
    except dialect.loaded_dbapi.OperationalError as error:
        if owner in str(error) or error.args[0] == NO_RIGHTS:
            raise dialect.loaded_dbapi.OperationalError(
                f"{email} may log in, and has no rights in the database: deploy once with the login by both, which"
                f" gives them (docs/runbook.md, Log in without a password). {error}"
            ) from error
        raise


def install() -> None:
    """Lets every engine of this process log in so."""
    event.listen(Engine, "do_connect", connect)
