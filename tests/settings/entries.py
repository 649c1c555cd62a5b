"""Entries of the settings that are maps: labels and variables, those that are taken and those that are refused."""

from typing import Final

from image.mlflow_cloudrun import environment
from stacks import mlflow

BAD_LABELS: Final = (
    {"\u00c9quipe": "x"},
    {"\u00b2": "x"},
    {"\u4e8c" * 43: "x"},
    {"": "x"},
    {"Team": "x"},
    {"1a": "x"},
    {"goog-x": "x"},
    {"a" * 64: "x"},
    {"a\n": "x"},
)
BAD_LABEL_VALUES: Final = ("Ml", "a b", "a" * 64, "a.b", "\u00c9", "\u30fc", "\u4e8c" * 43, "a\n")

RESERVED: Final = (
    *("PORT", "HOME", "PATH", "IFS", "ENV", "BASH_ENV", "LD_PRELOAD", "PYTHONPATH", "K_SERVICE", "CLOUD_RUN_TIMEOUT"),
    *("OAUTH_PROXY_CONFIG", "OAUTH_PROXY_EMAILS", "OAUTH2_PROXY_SKIP_AUTH_ROUTES", "OAUTH2_PROXY_EMAIL_DOMAINS"),
    *("MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "_MLFLOW_SERVER_FILE_STORE"),
    *("MLFLOW_HOST", "MLFLOW_PORT", "MLFLOW_BACKEND_STORE_URI", "BACKEND_STORE_URI", "DEFAULT_ARTIFACT_ROOT"),
    *("REQUEST_TIMEOUT_SECONDS", "GOOGLE_CLOUD_PROJECT"),
    *("MLFLOW_STATIC_PREFIX", "MLFLOW_TRACKING_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST"),
    *(
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "FORWARDED_ALLOW_IPS",
        "WEB_CONCURRENCY",
        "GUNICORN_CMD_ARGS",
        "GODEBUG",
    ),
    *(
        "DB_PASSWORD",
        "OPENAI_API_KEY",
        "client_secret",
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "SECRET_KEY",
        "GITHUB_PAT",
    ),
    *("SECRET_KEY_BASE", "dbpassword", "SENTRY_DSN", "SMTP_PASS", "SIGNING_KEY", "GCP_CREDENTIALS", "session_secrets"),
    # What resolves keys, allows private addresses, changes schemes, hosts, certificates or the database's options.
    *("MLFLOW_ENABLE_AI_GATEWAY", "MLFLOW_GATEWAY_RESOLVE_API_KEY_FROM_FILE", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS"),
    *("MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS", "MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "MLFLOW_ENABLE_REMOTE_ASSISTANT"),
    *("MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES", "MLFLOW_TRACKING_INSECURE_TLS", "MLFLOW_SQLALCHEMYSTORE_ECHO"),
    *("MLFLOW_ENABLE_WORKSPACES", "MLFLOW_OF_TOMORROW", "_MLFLOW_TELEMETRY_LOGGING", "mlflow_enable_ai_gateway"),
    *("oauth2_proxy_x", "Oauth2_Proxy_Skip_Auth_Routes", "PGHOST", "PGOPTIONS", "PGSERVICEFILE", "pgsslmode"),
    *("MYSQL_PWD", "MYSQL_UNIX_PORT", "SQLALCHEMY_WARN_20", "OTEL_EXPORTER_OTLP_ENDPOINT", "GRPC_DEFAULT_SSL_ROOTS"),
    *("SSL_CERT_FILE", "SSLKEYLOGFILE", "OPENSSL_CONF", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"),
    *("FTP_PROXY", "No_Proxy", "HAPROXY_CFGFILES", "UVICORN_WORKERS", "FLASK_DEBUG", "PYTHONSTARTUP", "pythonpath"),
    *("GLIBC_TUNABLES", "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS", "MALLOC_CHECK_", "TMPDIR", "PS4", "GOGC"),
    *("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CONFIG", "API_ENDPOINT_OVERRIDE", "ARTIFACT_ROOTS", "REQUEST_TIMEOUT_SECONDS"),
    *("DATABRICKS_HOST", "AWS_ENDPOINT_URL", "AZURE_STORAGE_CONNECTION_STRING", "PROMETHEUS_MULTIPROC_DIR", "K_X"),
    *mlflow.ENVIRONMENT,
)
"""Names of variables that would open or break the service."""

FREE_NAMES: Final = (
    *("PORTAL", "TOKENIZERS_PARALLELISM", "MY_PATH", "TZ", "KEY_RING", "MAX_TOKENS", "TOKEN_URL", "COMPASS", "MONKEYS"),
    *("LOG_LEVEL", "TEAM", "KAFKA_TOPIC", "SPATIAL", *environment.ALLOWED),
)

SECRETS: Final = (
    "postgresql://mlflow:hunter2@db/mlflow",
    "say redis://:hunter2@cache",
    "GOCSPX-hunter2",
    "ya29.hunter2",
    "-----BEGIN PRIVATE KEY-----hunter2",
    "eyJhbGciOiJub25lIn0.hunter2",
    "nul\x00hunter2",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a hunter2",
    "github_pat_11ABCDEFG0123456789abcd hunter2",
    "AKIAIOSFODNN7EXAMPLE hunter2",
    "key=AIzaSyA-0123456789abcdefghijklmnopqrstuv hunter2",
    "sk-proj-0123456789abcdefghij hunter2",
    "hf_0123456789abcdefghijklmnopqrst hunter2",
    "xoxb-0123456789-hunter2",
    "hunter2 glpat-0123456789abcdefghij",
    "dapi0123456789abcdef0123456789abcdef hunter2",
    "hunter2 $(BACKEND_STORE_URI)",
)
"""Values of variables that are secrets, each with the word hunter2 in it."""
