"""What stands between oauth2-proxy and MLflow's application: one middleware a module, outermost first."""

import os
from typing import Any

from mlflow_cloudrun.bodies import WholeRequests
from mlflow_cloudrun.logs import RequestLog
from mlflow_cloudrun.threads import BoundedThreads


def pool_connections() -> int:
    """Returns how many connections to the database MLflow may open at a time."""
    # https://docs.sqlalchemy.org/en/21/core/pooling.html: 5 and 10 unless they are set
    return int(os.environ.get("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE") or 5) + int(
        os.environ.get("MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW") or 10
    )


def protect(app: Any) -> None:  # noqa: ANN401  FastAPI's class is imported with MLflow alone
    """Puts the middlewares around MLflow's application; a request meets them from the first line to the last."""
    onion: list[tuple[type, dict[str, object]]] = [
        (RequestLog, {}),
        (WholeRequests, {}),
        (BoundedThreads, {"connections": pool_connections()}),
    ]
    for middleware, options in reversed(onion):  # Starlette's last one added is the outermost
        app.add_middleware(middleware, **options)
