"""Every cloud name and fixed path of the system, once.

Functions take plain strings or Terraform tokens alike: they only concatenate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from image.mlflow_cloudrun import accounts

DATABASE: Final = "mlflow"
DATABASE_USER: Final = "mlflow"
PROXY_PORT: Final = 4180
PROXY_CONFIG_FOLDER: Final = "/secrets/oauth2-proxy"
PROXY_CONFIG_FILE: Final = "oauth2-proxy.cfg"
CLOUDSQL_FOLDER: Final = "/cloudsql"
POSTGRESQL_SOCKET: Final = "/.s.PGSQL.5432"
CALLBACK_PATH: Final = "/oauth2/callback"
GCLOUD_AUDIENCE: Final = accounts.GCLOUD_CLIENT
ADC_AUDIENCE: Final = accounts.ADC_CLIENT


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudNames:
    """The names of one tracking server's resources, derived from the name prefix."""

    service: str
    service_account: str
    instance: str
    backend_store_uri_secret: str
    oauth2_proxy_secret: str
    encryption_key_secret: str

    @classmethod
    def of(cls, prefix: str) -> CloudNames:
        """Derives the names.

        Args:
            prefix: The name prefix, such as `mlflow`.
        """
        return cls(
            service=prefix,
            service_account=f"{prefix}-server",
            instance=f"{prefix}-db",
            backend_store_uri_secret=f"{prefix}-backend-store-uri",
            oauth2_proxy_secret=f"{prefix}-oauth2-proxy",
            encryption_key_secret=f"{prefix}-encryption-key",
        )

    def job(self, job: str) -> str:
        """The name of a job."""
        return f"{self.service}-{job}"

    def job_account(self, account: str) -> str:
        """The id of the account of a job, or of what calls it."""
        return f"{self.service}-{account}"


def artifacts_bucket(prefix: str, project_id: str) -> str:
    """The default bucket name; it carries the project id because bucket names are global."""
    return f"{project_id}-{prefix}-artifacts"


def image_repository(region: str, project_id: str, repository: str) -> str:
    """The address under which a Docker repository of Artifact Registry takes and gives images.

    Source: https://cloud.google.com/artifact-registry/docs/docker/names
    """
    return f"{region}-docker.pkg.dev/{project_id}/{repository}"


def socket_path(connection_name: str, engine: str) -> str:
    """The socket of an instance, as long as the engine's client makes it.

    Sources: https://cloud.google.com/sql/docs/postgres/connect-run, https://cloud.google.com/sql/docs/mysql/connect-run
    """
    return f"{CLOUDSQL_FOLDER}/{connection_name}{'' if engine == 'mysql' else POSTGRESQL_SOCKET}"


def service_host(service: str, project_number: str, region: str) -> str:
    """The host name that Cloud Run gives a service, known before it exists.

    Source: https://cloud.google.com/run/docs/triggering/https-request#deterministic
    """
    return f"{service}-{project_number}.{region}.run.app"
