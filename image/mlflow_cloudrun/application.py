"""What stands between oauth2-proxy and MLflow's application: one middleware a module, outermost first."""

from typing import Any

from mlflow.server import app as flask_app

from mlflow_cloudrun import engine, errors, otlp
from mlflow_cloudrun.admission import Line
from mlflow_cloudrun.bodies import BoundedBodies
from mlflow_cloudrun.errors import WholeErrors
from mlflow_cloudrun.logs import RequestLog
from mlflow_cloudrun.page import Page

# Half of them may use the database; as many again may wait for the bucket, or put an answer together.
REQUESTS_PER_PLACE = 2


def protect(app: Any) -> None:  # noqa: ANN401  FastAPI's class is imported with MLflow alone
    """Puts the middlewares around MLflow's application; a request meets them from the first line to the last."""
    onion: list[tuple[type, dict[str, object]]] = [
        (RequestLog, {}),
        (Page, {}),
        (WholeErrors, {}),
        (BoundedBodies, {}),
        (Line, {"at_a_time": REQUESTS_PER_PLACE * engine.places()}),
    ]
    for middleware, options in reversed(onion):  # Starlette's last one added is the outermost
        app.add_middleware(middleware, **options)
    errors.install(flask_app)
    otlp.install()
