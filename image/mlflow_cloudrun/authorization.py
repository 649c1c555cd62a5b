"""MLflow's own permissions, for those whom the gate has let in; there are none without the variable PERMISSIONS.

MLflow's application "basic-auth" asks a function who calls (https://mlflow.org/docs/latest/self-hosting/security/custom).
Here that is the request's identity. Credentials of a client's do not get this far (credentials.py), and MLflow's routes
for users and roles are not served (routes.toml). A route for which MLflow has no rule is refused.

Whoever makes an experiment, a model, a prompt or the like manages it: MLflow grants that itself.
"""

# MLflow's permissions have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportPrivateUsage=false, reportAttributeAccessIssue=false

import json
import os
import re
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from anyio import from_thread, to_thread
from flask import Response
from mlflow.utils.workspace_context import get_request_workspace
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME
from starlette.requests import Request
from starlette.responses import Response as AsgiResponse
from werkzeug.datastructures import Authorization

from mlflow_cloudrun import database, permissions
from mlflow_cloudrun.identity import asked

CONFIG = """[mlflow]
default_permission = {default}
database_uri = unused
authorization_function = {function}
grant_default_workspace_access = true
"""
NOBODY = "Nobody has signed in."
READ_ONLY = "You may read here, and change nothing: your address is among permissions.readers."
FORBIDDEN = "You may not do this with what somebody else made. Who made it may, and the admins of this deployment."
FORBIDDEN_STATUS = 403
WORKSPACE = re.compile(r"/(ajax-)?api/3\.0/mlflow/workspaces/[^/]+")  # its GET alone is served (routes.toml)
Next = Callable[[Request], Awaitable[Any]]

known: set[str] = set()
"""Addresses that MLflow has users of; no route removes one."""


def install(uri: str, folder: Path, patience_s: int) -> None:
    """Makes users and roles what the variable says; call it when the schema is right and the one engine is installed.

    Args:
        uri: SQLAlchemy URI of the database.
        folder: Where MLflow's file of configuration goes; it holds no secret.
        patience_s: How long to wait for somebody else who migrates.
    """
    if not (here := permissions.here()):
        return
    config = folder / "permissions.ini"
    config.write_text(CONFIG.format(default=here.default, function=f"{__name__}:authenticate"))
    os.environ |= {
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
        "_MLFLOW_AUTH_ADMIN_BOOTSTRAPPED": "true",  # it would want a password for an admin of its own
        # Of a page that is not served, MLflow's form for new users.
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(32),
    }
    from mlflow.server import auth  # noqa: PLC0415  reads this when it is imported

    from mlflow_cloudrun import engine, grants, lookups  # noqa: PLC0415

    auth.auth_config = auth.auth_config._replace(database_uri=uri)  # in no file: it has the password
    auth.make_forbidden_response = lambda: refused(FORBIDDEN)
    auth.store.init_db(uri)
    auth._can_create_in_workspace = everybody_in_the_default(auth._can_create_in_workspace)  # noqa: SLF001
    auth._find_validator = also_of_workspaces(auth)  # noqa: SLF001
    lookups.install(auth)
    if not grants.right(auth.store, here):
        with database.locked(engine.create(uri), patience_s):
            grants.reconcile(auth.store, here)


def everybody_in_the_default(may_create: Callable[[str], bool]) -> Callable[[str], bool]:
    """Wraps MLflow's answer to who may make new things: in the workspace of everybody all may, with teams or without.

    MLflow would want a grant there, which also shows everything in it.
    """

    def answer(email: str) -> bool:
        return get_request_workspace() == DEFAULT_WORKSPACE_NAME or may_create(email)

    return answer


def also_of_workspaces(auth: Any) -> Callable[[Any], Any]:  # noqa: ANN401  MLflow's module
    """Returns MLflow's lookup of a route's rule, which also finds that of one workspace.

    MLflow has a rule for `/workspaces/NAME`, and looks it up by the path as it came, under which it is not.
    """
    find = auth._find_validator  # noqa: SLF001

    def find_rule(request: Any) -> Any:  # noqa: ANN401  Flask's
        rule = find(request)
        return auth.validate_can_view_workspace if rule is None and WORKSPACE.fullmatch(request.path) else rule

    return find_rule


def guarded(fastapi: Callable[[], Any]) -> Callable[[], Any]:
    """Returns what gets MLflow's FastAPI application, with its permissions where they were installed.

    They are then in the Flask application from here on: what guards the one guards the other.
    """
    if not permissions.here():
        return fastapi
    import mlflow.server  # noqa: PLC0415
    from mlflow.server import auth  # noqa: PLC0415

    fastapi()
    app = auth.create_app(mlflow.server.app)
    for middleware in app.user_middleware:
        dispatch: Any = middleware.kwargs.get("dispatch")
        if getattr(dispatch, "__name__", "") == "fastapi_permission_middleware":
            middleware.kwargs["dispatch"] = in_a_thread(dispatch)
            return lambda: app
    raise LookupError("MLflow's permissions of FastAPI's routes are not where they were")


def authenticate() -> Authorization | Response:
    """Returns who calls, for MLflow's application; what a reader may not do is answered here."""
    request, here = asked.get(), permissions.here()
    if not request.by or here is None:
        return refused(NOBODY)
    if request.by in here.readers and request.writes:
        return refused(READ_ONLY)
    if request.by not in known:
        from mlflow.server import auth  # noqa: PLC0415

        from mlflow_cloudrun import grants  # noqa: PLC0415

        grants.know(auth.store, request.by)
        known.add(request.by)
    return Authorization("gate", {"username": request.by})


def body_of(message: str) -> str:
    """Returns the body of a refusal, of MLflow's form."""
    return json.dumps({"error_code": "PERMISSION_DENIED", "message": message})


def refused(message: str) -> Response:
    """Returns a refusal for Flask."""
    return Response(body_of(message), FORBIDDEN_STATUS, content_type="application/json")


def in_a_thread(dispatch: Callable[[Request, Next], Coroutine[Any, Any, Any]]) -> Callable[..., Awaitable[Any]]:
    """Wraps MLflow's permissions of FastAPI's routes, which ask the database on the event loop.

    Whatever else is being answered, the health check included, would wait as long as they do. Here they run in a
    thread, where nothing waits for the loop but the call of the application.
    """
    from mlflow.server import auth  # noqa: PLC0415
    from mlflow.server.asgi_utils import get_routed_asgi_path  # noqa: PLC0415

    async def dispatch_in_a_thread(request: Request, call_next: Next) -> Any:  # noqa: ANN401
        if auth._find_fastapi_validator(get_routed_asgi_path(request), request.method) is None:  # noqa: SLF001
            return await dispatch(request, call_next)  # Flask's, or refused
        await request.body()  # it is kept, and nobody waits for it below
        answer = await to_thread.run_sync(ended, dispatch(request, lambda asks: called(call_next, asks)))
        plain = str(answer.headers.get("content-type")).startswith("text/plain")
        if answer.status_code == FORBIDDEN_STATUS and plain:
            return AsgiResponse(body_of(FORBIDDEN), FORBIDDEN_STATUS, media_type="application/json")
        return answer

    return dispatch_in_a_thread


def ended(coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401
    """Runs a coroutine that waits for nothing to its end.

    Raises:
        RuntimeError: It waits.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("MLflow's permissions wait for the event loop")


async def called(call_next: Next, request: Request) -> Any:  # noqa: ANN401  as Starlette calls it
    """Calls the application on the event loop, from a thread; returns its answer whole."""

    async def whole() -> Any:  # noqa: ANN401
        answer = await call_next(request)
        body = [bytes(part) async for part in answer.body_iterator]

        async def parts() -> Any:  # noqa: ANN401
            yield b"".join(body)

        answer.body_iterator = parts()
        return answer

    return from_thread.run(whole)
