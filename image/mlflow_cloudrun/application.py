"""The middlewares between the gate and MLflow's applications: one a module, outermost first."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow.server import app as flask_app

from mlflow_cloudrun import (
    archived,
    assessments,
    authors,
    bucket,
    engine,
    errors,
    filters,
    locations,
    mentions,
    otlp,
    postponed,
    statements,
    values,
    webhooks,
    workspaces,
)
from mlflow_cloudrun.access import Access, OrganizationAccounts
from mlflow_cloudrun.admission import Line
from mlflow_cloudrun.artifacts import StreamedArtifacts
from mlflow_cloudrun.bodies import BoundedBodies
from mlflow_cloudrun.credentials import WithoutCredentials
from mlflow_cloudrun.dispatch import Dispatch
from mlflow_cloudrun.errors import WholeErrors
from mlflow_cloudrun.features import is_on
from mlflow_cloudrun.logs import App, RequestLog
from mlflow_cloudrun.page import Page
from mlflow_cloudrun.queries import BoundedQueries
from mlflow_cloudrun.reads import BoundedReads
from mlflow_cloudrun.routes import RouteGate, limit_graphql
from mlflow_cloudrun.settings import ARTIFACT_LINKS, IAP_AUDIENCE, IAP_KEYS_URL

# Half of them may use the database; as many again may wait for the bucket, or put an answer together.
REQUESTS_PER_PLACE = 2
# Nobody has all of them: who comes while somebody calls without a pause is let in at once.
KEPT_FOR_OTHERS = 2
# MLflow imports both when they are asked for the first time.
GRAPHQL, OTLP = "mlflow.server.graphql.graphql_schema_extensions", "mlflow.server.otel_api"
app: App
"""MLflow as uvicorn finds it by its name; __main__.py sets it."""


def protected(folder: Path, fastapi: Callable[[], Any]) -> App:
    """Returns MLflow with the middlewares around it; a request meets them from the first line to the last.

    Args:
        folder: Where settings.py has written who gets in.
        fastapi: Imports the smaller one of MLflow's applications (dispatch.py).
    """
    postponed.after(GRAPHQL, lambda module: limit_graphql(module.schema.graphql_schema))
    postponed.after(OTLP, otlp.check)
    bucket.install()  # both before the locations, which hold for what is registered
    if is_on(ARTIFACT_LINKS):
        from mlflow_cloudrun import links  # noqa: PLC0415  with Google's signatures

        links.install(flask_app)
    locations.limit(os.environ)
    at_a_time = REQUESTS_PER_PLACE * engine.places()
    iap: list[tuple[Callable[..., App], dict[str, object]]] = []
    proxy: list[tuple[Callable[..., App], dict[str, object]]] = []
    if audience := os.environ.get(IAP_AUDIENCE):
        from mlflow_cloudrun.iap import GOOGLE_KEYS, Assertions, Keys  # noqa: PLC0415  not behind oauth2-proxy

        keys = Keys(os.environ.get(IAP_KEYS_URL, GOOGLE_KEYS))
        iap.append((Assertions, {"audience": audience, "keys": keys}))
    else:
        proxy.append((OrganizationAccounts, {"access": Access.of(folder)}))
    onion: list[tuple[Callable[..., App], dict[str, object]]] = [
        (RequestLog, {}),
        *iap,
        (Page, {}),
        (WholeErrors, {}),
        *proxy,
        (WithoutCredentials, {}),
        (workspaces.OneWorkspace, {}),
        (RouteGate, {}),
        (BoundedBodies, {}),
        (BoundedQueries, {}),
        (BoundedReads, {}),
        (StreamedArtifacts, {}),
        (Line, {"at_a_time": at_a_time, "of_one": max(1, at_a_time - KEPT_FOR_OTHERS)}),
    ]
    app: App = Dispatch(flask_app, fastapi)
    for middleware, options in reversed(onion):
        app = middleware(app, **options)
    errors.install(flask_app)
    mentions.install(flask_app)
    authors.install()
    assessments.install()
    statements.install()
    values.install()
    filters.install()
    archived.install()
    webhooks.install()
    return app


def fastapi_app() -> Any:  # noqa: ANN401  FastAPI's class is imported with MLflow alone
    """Imports MLflow's FastAPI application."""
    from mlflow.server.fastapi_app import app  # noqa: PLC0415

    return app
