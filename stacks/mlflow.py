"""How MLflow is set to run in the memory of the smallest Cloud Run instance, and on how many connections."""

from typing import Final

_POOL_SIZE: Final = 3
_MAX_OVERFLOW: Final = 3

CONNECTIONS_PER_INSTANCE: Final = _POOL_SIZE + _MAX_OVERFLOW
"""Database connections that one instance opens at most: all stores share one pool, and a start takes three."""

CONNECTIONS_OF_JOBS: Final = 3
"""Database connections of all jobs at once: each has one, and waits with it for its turn."""

ENVIRONMENT: Final = {
    # Each worker is a whole MLflow in memory; two or more also make keep-alive requests slower.
    "MLFLOW_WORKERS": "1",
    # The job runner takes more memory than the server and queries the database all day.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Clients write artifacts to the bucket themselves; through the server whole files would lie in memory.
    "MLFLOW_SERVE_ARTIFACTS": "false",
    # It sends the service account's token to hosts that a user names: https://mlflow.org/docs/latest/genai/governance/ai-gateway/
    "MLFLOW_ENABLE_AI_GATEWAY": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # https://mlflow.org/docs/latest/api_reference/python_api/mlflow.environment_variables.html
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(_POOL_SIZE),
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": str(_MAX_OVERFLOW),
    # Cloud SQL ends idle connections; half an hour is well before it does.
    "MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE": "1800",
    # https://man7.org/linux/man-pages/man3/mallopt.3.html: one heap per thread would fragment 1 GiB.
    "MALLOC_ARENA_MAX": "2",
}
"""Plain environment variables of the container."""
