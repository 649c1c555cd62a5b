"""Which environment variables the container takes, and what a secret looks like: one list for settings and image.

The settings, the module's variables, the policy scan and the container's start all read it. The expressions are in the
common subset of Python's `re` and Terraform's RE2.
"""

import re
from collections.abc import Iterable

_GOOGLE = "where the local stand-ins of Google's services are; Google's libraries read it"
_STACK = "the stack sets it"
_IMAGE = "the image sets it"
_RUN = "Cloud Run sets it"

ALLOWED = {
    "MLFLOW_LOGGING_LEVEL": "how much MLflow logs",
    "MLFLOW_TRUNCATE_LONG_VALUES": "whether a long parameter is cut, or refused",
    "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": "narrows what may be registered as a model",
    "MLFLOW_ICON_URL_ALLOWED_DOMAINS": "narrows from where an MCP server's icon may come",
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "how long a read of the bucket may last, in seconds",
}
"""Variables of MLflow that a person may set, and what each does: none opens or reaches anything."""

SYSTEM = {
    "API_ENDPOINT_OVERRIDE": _GOOGLE,
    "ARTIFACT_LINKS": _STACK,
    "ARTIFACT_ROOTS": _STACK,
    "BACKEND_STORE_URI": _STACK,
    "CLIENTS_STORAGE_ENDPOINT": _GOOGLE,
    "DATABASE_ACCOUNTS": _STACK,
    "DATABASE_CA": _STACK,
    "DATABASE_LOGIN": _STACK,
    "DEFAULT_ARTIFACT_ROOT": _STACK,
    "GCE_METADATA_HOST": _GOOGLE,
    "GCE_METADATA_IP": _GOOGLE,
    "GCE_METADATA_MTLS_MODE": _GOOGLE,
    "GOOGLE_CLOUD_PROJECT": _STACK,
    "HOME": _IMAGE,
    "IAMCREDENTIALS_ENDPOINT": _GOOGLE,
    "IAP_AUDIENCE": _STACK,
    "IAP_KEYS_URL": _GOOGLE,
    "IMPORT_STORE_URI": _STACK,
    "MALLOC_ARENA_MAX": _STACK,
    "MLFLOW_CRYPTO_KEK_PASSPHRASE": _STACK,
    "MLFLOW_DISABLE_TELEMETRY": _STACK,
    "MLFLOW_ENABLE_AI_GATEWAY": _STACK,
    "MLFLOW_HOST": _IMAGE,
    "MLFLOW_PORT": _IMAGE,
    "MLFLOW_SERVER_ALLOWED_HOSTS": _STACK,
    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": _STACK,
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": _STACK,
    "MLFLOW_SERVE_ARTIFACTS": _STACK,
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": _STACK,
    "MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE": _STACK,
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": _STACK,
    "MLFLOW_UVICORN_OPTS": _IMAGE,
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": _STACK,
    "MLFLOW_WORKERS": _STACK,
    "OAUTH2_PROXY_EMAIL_DOMAINS": _STACK,
    "OAUTH2_PROXY_LOGIN_URL": _GOOGLE,
    "OAUTH2_PROXY_OIDC_EXTRA_AUDIENCES": _STACK,
    "OAUTH2_PROXY_OIDC_JWKS_URL": _GOOGLE,
    "OAUTH2_PROXY_REDEEM_URL": _GOOGLE,
    "OAUTH2_PROXY_REDIRECT_URL": _STACK,
    "OAUTH_PROXY_CONFIG": _STACK,
    "OAUTH_PROXY_EMAILS": _STACK,
    "PATH": _IMAGE,
    "PERMISSIONS": _STACK,
    "PORT": _RUN,
    "PWD": "start.sh's shell sets it",
    "PYTHONDONTWRITEBYTECODE": _IMAGE,
    "REQUEST_TIMEOUT_SECONDS": _STACK,
    "STORAGE_EMULATOR_HOST": _GOOGLE,
    "WEBHOOKS": _STACK,
}
"""Variables of the process's own that the container takes, and who sets them; no person does."""

OFF = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_AI_GATEWAY": "false"} | dict.fromkeys(
    ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "MLFLOW_SERVE_ARTIFACTS"), "false"
)
"""Switches that have one value; whatever starts the container, the server runs with it."""

FROM_CLOUD_RUN = r"K_(SERVICE|REVISION|CONFIGURATION)|CLOUD_RUN_[A-Z0-9_]*"
"""What Cloud Run sets besides PORT: https://cloud.google.com/run/docs/container-contract#env-vars"""

_OWN = (
    # MLflow, and what it reads of others
    r"_?MLFLOW_.*|DATABRICKS_.*|FLASK_.*|WERKZEUG_.*|GRAPHENE_.*|HUEY_.*|PROMETHEUS_.*|PYDANTIC_.*|OTEL_.*",
    # the proxy, the servers, what stands in front
    r"OAUTH.*|IAP_.*|UVICORN_.*|GUNICORN_.*|FORWARDED_.*|WEB_CONCURRENCY|HAPROXY.*|.*_PROXY|TINI_.*|PORT|HOST",
    # Google, and other clouds
    r"GOOGLE_.*|GCE_.*|GCLOUD_.*|CLOUDSDK_.*|STORAGE_EMULATOR_HOST|API_ENDPOINT_OVERRIDE|X_GOOGLE_.*|AWS_.*|AZURE_.*",
    r"K_.*|CLOUD_RUN_.*|GRPC.*|(BACKEND|IMPORT)_STORE_URI|DEFAULT_ARTIFACT_ROOT|ARTIFACT_ROOTS|REQUEST_TIMEOUT_SECONDS",
    r"WEBHOOKS|PERMISSIONS|DATABASE_(ACCOUNTS|CA|LOGIN)|ARTIFACT_LINKS|CLIENTS_STORAGE_ENDPOINT|IAMCREDENTIALS_ENDPOINT",
    # databases: https://www.postgresql.org/docs/current/libpq-envars.html
    r"SQLALCHEMY.*|ALEMBIC_.*|PG[A-Z].*|MYSQL.*|MARIADB.*|LIBMYSQL.*|KRB5.*",
    # certificates and keys of connections
    r"SSL.*|OPENSSL.*|REQUESTS_CA_BUNDLE|CURL_.*|NETRC|AIOHTTP_.*|HTTPX_.*",
    # Python, Go, the C library and its resolver, the shell
    r"PYTHON.*|GO(DEBUG|GC|MAXPROCS|MEMLIMIT|TRACEBACK)|LD_.*|MALLOC_.*|GLIBC_.*|GCONV_PATH|LOCPATH|NLSPATH|LOCALDOMAIN",
    r"RES_OPTIONS|HOSTALIASES|RESOLV_.*|GETCONF_DIR|NIS_PATH|TMP|TEMP|TMPDIR|HOME|PATH|PWD|IFS|ENV|PS4|CDPATH|GLOBIGNORE",
    r"SHELLOPTS|BASH.*|POSIXLY_CORRECT|PROMPT_COMMAND|TIMEFORMAT|EXECIGNORE|TERMINFO.*",
)
OWN = f"(?i:{'|'.join(_OWN)})"
"""Names of the processes of the container, in any case: some programs read them also in lower case."""

GIVEAWAY_NAME = (
    r"(?i:.*(SECRETS?|PASSWORD|PASSWD|PASSPHRASE|TOKEN|API_?KEY|ACCESS_?KEY|ACCESS_KEY_ID|PRIVATE_?KEY|CREDENTIALS?)"
    r"|(.*_)?(KEY|KEY_BASE|PASS|PWD|PAT|JWT|DSN))"
)
"""A name that ends in a word for a secret: API_KEY and DB_PASSWORD, but not KEY_RING, TOKEN_URL or MAX_TOKENS."""

GIVEAWAY_VALUE = (
    # Google: client secret, access and refresh token, key; a JWT; a key file; a URL with a password
    r"GOCSPX-|ya29\.|1//0[A-Za-z0-9_-]{20}|AIza[A-Za-z0-9_-]{35}|eyJ[A-Za-z0-9_-]{9}|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|://[^/@:\t\n\f\r ]*:[^/@\t\n\f\r ]+@"
    # Amazon, GitHub, GitLab, Databricks, Hugging Face, Slack, SendGrid, npm, PyPI, Stripe, OpenAI and Anthropic
    r"|A(KIA|SIA)[A-Z0-9]{16}|gh[oprsu]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22}|glpat-[A-Za-z0-9_-]{20}"
    r"|dapi[a-f0-9]{32}|hf_[A-Za-z0-9]{30}|xox[abeprs]-[A-Za-z0-9-]{10}|SG\.[A-Za-z0-9_-]{16,}\.|npm_[A-Za-z0-9]{36}"
    r"|pypi-[A-Za-z0-9_-]{16}|[rs]k_live_[A-Za-z0-9]{16}|sk-[A-Za-z0-9_-]{20}"
)
"""What gives a secret away wherever it stands in a value: prefixes that only secrets have."""

REFERENCE = r"\$\([A-Za-z_][A-Za-z0-9_]*\)"
"""Google's pages say of `$(NAME)` in a value both that Cloud Run expands it, and that it does not."""

_own, _cloud_run = re.compile(OWN), re.compile(FROM_CLOUD_RUN)


def unwanted(names: Iterable[str]) -> list[str]:
    """Returns the names, sorted, that the container must not have: of a process's own, and in neither list."""
    return sorted(
        name
        for name in names
        if _own.fullmatch(name) and name not in ALLOWED and name not in SYSTEM and not _cloud_run.fullmatch(name)
    )
