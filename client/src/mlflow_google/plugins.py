"""The entry points that MLflow and OpenTelemetry load; they must cost nothing and never fail when `mlflow` is imported.

MLflow makes an object of each class when it is imported, whatever MLFLOW_TRACKING_AUTH says, and takes only ImportError
and AttributeError for a broken plugin. What does the work is therefore imported at the first request.
https://github.com/mlflow/mlflow/blob/master/mlflow/tracking/request_auth/registry.py
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

    from mlflow_google.auth import GoogleAuth

NAME = "google"


class GoogleAuthProvider:
    """Chosen by MLFLOW_TRACKING_AUTH=google. MLflow asks it before every request."""

    def get_name(self) -> str:
        """Returns the name by which it is chosen."""
        return NAME

    def get_auth(self) -> GoogleAuth:
        """Returns what puts the token on a request."""
        from mlflow_google.auth import AUTH  # noqa: PLC0415

        return AUTH


class GoogleRunContext:
    """Makes the Google address the user of new runs, where the machine's name for the user says nothing."""

    def in_context(self) -> bool:
        """Returns whether there is an address: MLflow talks through this package, and gets a token that has one."""
        return os.environ.get("MLFLOW_TRACKING_AUTH") == NAME and bool(self._address())

    def tags(self) -> dict[str, str]:
        """Returns the tag of the run."""
        return {"mlflow.user": self._address()}

    def _address(self) -> str:
        from mlflow_google.auth import AUTH  # noqa: PLC0415

        return AUTH.address()


def gs_repository(artifact_uri: str, **options: Any) -> Any:  # noqa: ANN401  MLflow's
    """Returns MLflow's repository for a place in gs://: by sessions and links of the server, or MLflow's own."""
    from mlflow_google.choice import links_are_wanted  # noqa: PLC0415

    if links_are_wanted():
        from mlflow_google.artifacts import LinkedArtifactRepository  # noqa: PLC0415

        return LinkedArtifactRepository(artifact_uri, **options)
    from mlflow.store.artifact.gcs_artifact_repo import GCSArtifactRepository  # noqa: PLC0415

    return GCSArtifactRepository(artifact_uri, **options)


def session() -> requests.Session:
    """Returns what OpenTelemetry's OTLP exporter sends with."""
    from mlflow_google.auth import session as made  # noqa: PLC0415

    return made()
