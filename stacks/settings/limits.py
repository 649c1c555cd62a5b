"""Limits of Google's services that rules between fields need, each with its page."""

from typing import Final

SERVICE_ACCOUNT_URL: Final = "https://cloud.google.com/iam/docs/service-accounts-create"
SERVICE_URL: Final = "https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services/create"
HOST_URL: Final = "https://cloud.google.com/run/docs/triggering/https-request#deterministic"
BUCKET_URL: Final = "https://cloud.google.com/storage/docs/buckets#naming"

SOCKET_URL: Final = "https://cloud.google.com/sql/docs/postgres/connect-run"

LONGEST_SOCKET_PATH: Final = 107
"""Bytes without the one that ends it: https://man7.org/linux/man-pages/man7/unix.7.html"""

MEMORY_BY_CPU: Final = {
    "1": (512, 4_096),
    "2": (512, 8_192),
    "4": (2_048, 16_384),
    "6": (4_096, 24_576),
    "8": (4_096, 32_768),
}
"""Least and most memory in Mi: https://cloud.google.com/run/docs/configuring/services/cpu"""

VERSIONS: Final = {"postgresql": ("14", "15", "16", "17", "18"), "mysql": ("8.0", "8.4")}
"""https://cloud.google.com/sql/docs/db-versions, as far as MLflow supports them"""

DEFAULT_VERSION: Final = {"postgresql": "17", "mysql": "8.4"}

MOST_CPUS: Final = 96
"""https://cloud.google.com/sql/docs/postgres/create-instance#machine-types"""

RESERVED_CONNECTIONS: Final = 10
"""Left to Google's own maintenance, to migrations and to a person with a shell."""

MYSQL_CONNECTIONS: Final = {"db-f1-micro": 250, "db-g1-small": 1_000}
MYSQL_CUSTOM_CONNECTIONS: Final = 4_000
"""Defaults of `max_connections`: https://cloud.google.com/sql/docs/mysql/quotas#maximum_concurrent_connections"""

POSTGRESQL_CONNECTIONS: Final = {"db-f1-micro": 25, "db-g1-small": 50}
POSTGRESQL_CONNECTIONS_BY_MEMORY: Final = (
    (122_880, 1_000),
    (61_440, 800),
    (30_720, 600),
    (15_360, 500),
    (7_680, 400),
    (6_144, 200),
    (0, 100),
)
"""Least memory in MB and the default of `max_connections`: https://cloud.google.com/sql/docs/postgres/flags#postgres-m"""


def docs_of(engine: str) -> str:
    """The engine's part of the URLs of Cloud SQL's pages."""
    return "mysql" if engine == "mysql" else "postgres"
