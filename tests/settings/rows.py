"""The table of the field rules: for every field of the model, values that it takes and values that it refuses."""

from dataclasses import dataclass, field
from typing import Final

from image.mlflow_cloudrun import accounts, environment
from stacks import mlflow
from tests.settings.files import DIGEST, IMAGE, Table

_NAME_RULE_BREAKERS: Final = (
    "",
    "-mlflow",
    "mlflow-",
    "Mlflow",
    "ml_flow",
    "ml.flow",
    "1mlflow",
    "mlflow\n",
    "mlfl\u043ew",
)
_ACCOUNT: Final = "trainer@acme-ml-dev.iam.gserviceaccount.com"
_POOL: Final = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/gh"
_SUBJECTS: Final = (
    "s",
    "auth0|5f7c8ec7c33c6c004bbafe82",
    "repo:acme/ml:ref:refs/heads/main",
    "CN=a, O=b c",
    "\u00fc" * 9,
)
_RESOURCES: Final = "cloudresourcemanager.googleapis.com"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one field takes and refuses.

    Attributes:
        good: Values that are accepted, the outermost ones first.
        bad: Values that the field's rule refuses, the nearest ones first.
        beside: Other fields that must be set for the good ones to pass the rules between fields.
    """

    good: tuple[object, ...]
    bad: tuple[object, ...]
    beside: Table = field(default_factory=dict)


def _each(*values: str) -> tuple[list[str], ...]:
    """Every value as the only entry of a list."""
    return tuple([value] for value in values)


def _by_name(*values: str) -> tuple[dict[str, str], ...]:
    """Every value as the only entry of a map."""
    return tuple({"it": value} for value in values)


_FLAG: Final = Row(good=(True, False), bad=("true", 1))
_ROTATION: Final = Row(good=(1, 1_000_000), bad=(0, 1_000_001, -1, 0xFFFF_FFFF_FFFF_FFFF_FFFF))
_DEPENDENT_FLAG: Final = Row(good=(True,), bad=("yes", 0), beside={"database.point_in_time_recovery": True})

ROWS: Final[dict[str, Row]] = {
    "profile": Row(good=("dev", "prod"), bad=("", "production", "Prod"), beside={"service.image": IMAGE + DIGEST}),
    "name": Row(good=("m", "ml-flow2", "a" * 23), bad=(*_NAME_RULE_BREAKERS, "a" * 64, "goog-ml", "ml--flow")),
    "region": Row(
        good=("europe-west1", "northamerica-northeast2", "europe-west12"),
        bad=("", "EU", "eu", "europe-west1-b", "Europe-west1", "europe-west", "europe-west123", "europe-west1\n"),
    ),
    "labels": Row(
        good=(
            *({}, {"a" * 63: "b" * 63}, {"team": ""}, {"a-b_c1": "1-_z"}, {f"l{i}": "x" for i in range(63)}),
            *(
                {"équipe": "données"},
                {"\u90e8\u7f72": "\u6570\u636e"},
                {"team": "\u4e8c" * 42},
                {"team": "\u00b2\u0664"},
            ),
        ),
        bad=({f"l{i}": "x" for i in range(64)},),
    ),
    "project.id": Row(
        good=("abcdef", "a" + "-" * 28 + "z"),
        bad=(
            "abcde",
            "a" * 31,
            "example.com:my-project",
            "1bcdef",
            "abcde-",
            "Abcdef",
            "abc_def",
            "example.com:abcdef",
            "abcdef\n",
        ),
    ),
    "project.number": Row(
        good=("123456", "1" * 18), bad=("12345", "1" * 19, "0123456", "12345a", "-123456", "123456\n", "١٢٣٤٥٦")
    ),
    "state.bucket": Row(
        good=("", "abc", "a" * 63, "a_b-c"), bad=("ab", "a" * 64, "a.b.c", "-abc", "ABC", "goog-state", "my-google-b")
    ),
    "database.engine": Row(good=("postgresql", "mysql"), bad=("", "postgres", "PostgreSQL", "sqlserver", "mysql\n")),
    "database.version": Row(good=("", "14", "15", "16", "17", "18"), bad=("13", "19", "8.4", "17.2", "17 ")),
    "database.tier": Row(
        good=("db-custom-1-3840", "db-custom-1-6656", "db-custom-2-3840", "db-custom-96-638976", "db-custom-10-9216"),
        bad=(
            *(
                "",
                "db-n1-standard-1",
                "db-n1-highmem-2",
                "db-perf-optimized-N-2",
                "db-custom-3-7680",
                "db-custom-0-3840",
            ),
            *("db-custom-01-3840", "db-custom-1-03840", "db-custom-1-3840\n", "db-custom-1", "DB-custom-1-3840"),
        ),
    ),
    "database.disk_gb": Row(good=(0, 10, 65_536), bad=(9, 65_537, -1, 1)),
    "database.disk_limit_gb": Row(good=(0, 10, 65_536), bad=(9, 65_537, -1, 1)),
    "database.high_availability": _DEPENDENT_FLAG,
    "database.backups": _FLAG,
    "database.backup_retention": Row(good=(1, 365), bad=(0, 366, -7)),
    "database.retain_backups_on_delete": _FLAG,
    "database.point_in_time_recovery": _FLAG,
    "database.deletion_protection": _FLAG,
    "database.maintenance_day": Row(good=(1, 7), bad=(0, 8)),
    "database.maintenance_hour": Row(good=(0, 23), bad=(-1, 24)),
    "database.rotation": _ROTATION,
    "bucket.name": Row(
        good=("", "abc", "a" * 63, "0a_b-c9"),
        bad=("ab", "a" * 64, "models.example.com", "abc-", "aBc", "google-models", "my-g00gle-b", "abc\n", "a b"),
    ),
    "bucket.versioning": _FLAG,
    "bucket.delete_noncurrent_after_days": Row(good=(1, 3_650), bad=(0, 3_651)),
    "bucket.soft_delete_days": Row(good=(0, 7, 90), bad=(-1, 1, 6, 91)),
    "bucket.force_destroy": _FLAG,
    "service.image": Row(
        good=(
            *(IMAGE + ":v1", IMAGE + DIGEST, IMAGE + ":v1" + DIGEST, IMAGE + ":" + "t" * 128),
            *("eu.gcr.io/acme-ml-dev/mlflow:v1", "docker.io/acme/mlflow:v1", "us-docker.pkg.dev/p/r/a/b__c-d.e:v1"),
        ),
        bad=(
            *("", IMAGE, IMAGE + ":latest", IMAGE + ":latest" + DIGEST, IMAGE + ":", IMAGE + ":" + "t" * 129),
            *(IMAGE + "@sha256:abc", IMAGE + DIGEST + "0", IMAGE + DIGEST.upper(), IMAGE + ":v1\n", IMAGE + ":v 1"),
            *(IMAGE + "..x:v1", IMAGE + "___x:v1", IMAGE + "._x:v1", IMAGE + "_:v1"),
            *("https://" + IMAGE + ":v1", IMAGE.upper() + ":v1", "ghcr.io/acme/mlflow:v1", "mlflow:v1"),
            *("europe-west1-docker.pkg.dev/acme-ml-dev/mlflow:v1", "gcr.io/mlflow:v1", IMAGE + "/:v1"),
        ),
    ),
    "service.cpu": Row(
        good=("1", "2", "4", "6", "8"), bad=("", "0.5", "3", "16", "1000m"), beside={"service.memory": "4Gi"}
    ),
    "service.memory": Row(
        good=("512Mi", "4Gi", "4096Mi"), bad=("", "0Gi", "1G", "1.5Gi", "1 Gi", "1gi", "1024", "1GiB", "1Gi\n", "-1Gi")
    ),
    "service.min_instances": Row(good=(0, 3), bad=(-1, 1_001), beside={"service.max_instances": 3}),
    "service.max_instances": Row(good=(1, 142), bad=(0, 1_001, -1), beside={"database.engine": "mysql"}),
    "service.concurrency": Row(good=(1, 1_000), bad=(0, 1_001)),
    "service.timeout_seconds": Row(good=(1, 3_600), bad=(0, 3_601)),
    "service.ingress": Row(
        good=("INGRESS_TRAFFIC_ALL", "INGRESS_TRAFFIC_INTERNAL_ONLY", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"),
        bad=("", "all", "INGRESS_TRAFFIC_NONE", "INGRESS_TRAFFIC_ALL\n"),
    ),
    "service.env": Row(
        good=(
            {},
            {"MLFLOW_LOGGING_LEVEL": "INFO"},
            {"_x9": ""},
            {"a" * 128: "x"},
            {"TEXT": "${a} %{b} $PATH $(1) $()\n\u00e9"},
        ),
        bad=({"": "x"}, {"1A": "x"}, {"A-B": "x"}, {"A.B": "x"}, {"A B": "x"}, {"A\n": "x"}, {"a" * 129: "x"}),
    ),
    "service.artifact_roots": Row(
        good=_each("gs://abc", "gs://acme-ml-shared/models", "gs://models.example.com/a/b_c.d-e"),
        bad=_each(
            *("", "acme-ml-shared", "gs://", "gs://a", "gs://abc/", "gs://abc//x", "gs://Abc", "s3://abc", "GS://abc"),
            *(
                "gs://abc/..",
                "gs://abc/../x",
                "gs://abc/./x",
                "gs://abc,gs://def",
                "gs://abc?x",
                "gs://abc/*",
                "gs://abc/x ",
            ),
            *("gs://u@abc", "gs://abc:443", "gs://abc/x\n", "gs://abc/%2e%2e"),
        ),
    ),
    "service.public_url": Row(
        good=(
            *("", "https://mlflow.example.com", "https://xn--mnchen-3ya.example", "https://a.example:8443"),
            *("http://localhost", "http://localhost:8000", "http://localhost:1", "http://localhost:65535"),
        ),
        bad=(
            *("mlflow.example.com", "http://mlflow.example.com", "https://mlflow.example.com/", "https://localhost"),
            *("https://a.example/x", "https://a.example?x", "https://u@a.example", "https://A.example", "https://a"),
            *("https://a.example:443", "http://localhost:80", "https://a.example:0", "https://a.example:65536"),
            *("http://localhost:99999", "http://127.0.0.1:8000", "https://10.0.0.1", "https://*.example.com"),
            *("https://m\u00fcnchen.example", "https://a.example,https://b.example", "https://a.example\n", "https://"),
            *("https://a..example", "https://-a.example", "https://" + "a" * 64 + ".example"),
        ),
    ),
    "access.oauth_client_id": Row(
        good=(
            "123456-abcd.apps.googleusercontent.com",
            "123456.apps.googleusercontent.com",
            "1" * 24 + "-" + "a" * 64 + ".apps.googleusercontent.com",
        ),
        bad=(
            *("", "12345-abcd.apps.googleusercontent.com", "123456-abc.apps.googleusercontent.com", "123456-abcd"),
            *(
                "123456-.apps.googleusercontent.com",
                "123456-abcd.apps.googleusercontent.com.evil.example",
                "GOCSPX-abc",
            ),
            *accounts.PUBLIC_CLIENTS,
        ),
    ),
    "access.email_domains": Row(
        good=_each("example.com", "ml.example.co.uk", "xn--mnchen-3ya.de", "acme-ml-dev.iam.gserviceaccount.com"),
        bad=_each(
            *("*", "*.example.com", ".example.com", "example", "Example.com", "example.com.", "@example.com", "a@b.de"),
            *("gmail.com", "googlemail.com", "yahoo.co.uk", "hotmail.fr", "outlook.com", "live.nl", "gmx.de", "qq.com"),
            *("icloud.com", "proton.me", "web.de", "mail.ru", "yandex.com.tr", "gserviceaccount.com", "gma\u0456l.com"),
            *("developer.gserviceaccount.com", "appspot.gserviceaccount.com", "iam.gserviceaccount.com"),
            *("cloudbuild.gserviceaccount.com", "compute-system.iam.gserviceaccount.com"),
            *(
                "dataflow-service-producer-prod.iam.gserviceaccount.com",
                "gae-api-prod.google.com.iam.gserviceaccount.com",
            ),
            *(
                "gcp-sa-pubsub.iam.gserviceaccount.com",
                "example.com,gmail.com",
                "example.com\n",
                "example.com gmail.com",
            ),
            *("", "m\u00fcnchen.de", "exam_ple.com", "example.com\ngmail.com", "1.2.3.4", "a" * 64 + ".com"),
        ),
    ),
    "access.emails": Row(
        good=_each("ada@example.com", "Ada.L+ml@gmail.com", "o'hara@example.com", "a" * 64 + "@example.com"),
        bad=_each(
            *("", "ada", "*@example.com", "ada@*", "ada@example", "ada@Example.com", "a@b@example.com", "@example.com"),
            *("ada@example.com,eve@evil.example", "ada@example.com\neve@evil.example", "ada@example.com\n", _ACCOUNT),
            *("Ada <ada@example.com>", "ada @example.com", "\u0430da@example.com", "a" * 65 + "@example.com"),
        ),
    ),
    "access.service_accounts": Row(
        good=_each(
            *(_ACCOUNT, "trainer@mlops.example.com.iam.gserviceaccount.com"),
            *("123-compute@developer.gserviceaccount.com", "acme-ml-dev@appspot.gserviceaccount.com"),
            *("123456789012@cloudbuild.gserviceaccount.com", "service-1@gcp-sa-pubsub.iam.gserviceaccount.com"),
        ),
        bad=_each(
            *("", "trainer", "ada@example.com", "*@acme-ml-dev.iam.gserviceaccount.com", "@" + _ACCOUNT.split("@")[1]),
            *(f"serviceAccount:{_ACCOUNT}", f"{_ACCOUNT},{_ACCOUNT}", f"{_ACCOUNT}\n", f"{_ACCOUNT}.evil.example"),
            *("trainer@iam.gserviceaccount.com", "trainer@evil.example/x.iam.gserviceaccount.com", _ACCOUNT.upper()),
        ),
    ),
    "access.extra_audiences": Row(
        good=_each("https://mlflow.example.com", "https://a.example:8443/x?y=z", "123456-abcd.apps.x", "a" * 512),
        bad=_each(
            "", "*", "https://*.example.com", "a,b", "a b", "a\n", '"a"', "'a'", "${a}", "a%2C", "a" * 513, "\u00e9"
        ),
    ),
    "access.gcloud_tokens": _FLAG,
    "access.adc_tokens": _FLAG,
    "access.invoker_iam_disabled": _FLAG,
    "access.artifact_writers": Row(
        good=_by_name(
            *("user:ada@example.com", "group:data-science@example.com", f"serviceAccount:{_ACCOUNT}"),
            "serviceAccount:123456789012@cloudbuild.gserviceaccount.com",
            "serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com",
            "serviceAccount:acme-ml-prod.svc.id.goog[training/trainer]",
            "serviceAccount:example.com:acme.svc.id.goog[training/trainer.v2]",
            *(f"principal://{_POOL}/subject/{subject}" for subject in _SUBJECTS),
            f"principal://{_POOL}.svc.id.goog/subject/ns/training/sa/trainer",
            f"principal://{_POOL}.svc.id.goog/kubernetes.serviceaccount.uid/7d9c",
            *(f"principalSet://{_POOL}/{members}" for members in ("*", "group/g", "attribute.team_1/Data Science")),
            f"principalSet://{_POOL}.svc.id.goog/namespace/training",
            f"principalSet://{_POOL}.svc.id.goog/kubernetes.cluster/https://container.googleapis.com/v1/projects/p/locations"
            "/l/clusters/c",
            "principal://iam.googleapis.com/locations/global/workforcePools/staff/subject/ada@example.com",
            "principalSet://iam.googleapis.com/locations/global/workforcePools/staff/group/science@example.com",
            *(
                f"principalSet://{_RESOURCES}/{kind}"
                for kind in ("projects/1/type/ServiceAccount", "folders/2/type/ServiceAgent")
            ),
            f"principalSet://{_RESOURCES}/organizations/3/type/ServiceAccount",
        ),
        bad=_by_name(
            *("", "allUsers", "allAuthenticatedUsers", "domain:example.com", "ada@example.com", "User:ada@example.com"),
            *(
                "user:*",
                "group:*@example.com",
                "user:Ada@example.com",
                "projectOwner:acme-ml-dev",
                "user:ada@example.com\n",
            ),
            *("serviceAccount:ada@example.com", "principalSet://goog/public:all", "deleted:user:ada@example.com?uid=1"),
            *("serviceAccount:t@iam.gserviceaccount.com", "user:t@acme-ml-prod.iam.gserviceaccount.com"),
            *(
                "group:t@gserviceaccount.com",
                "serviceAccount:acme.svc.id.goog[training]",
                "principal://iam.googleapis.com/x",
            ),
            *(f"principal://{_POOL}/*", f"principal://{_POOL}/subject/", f"principal://{_POOL}/subject/a\nb"),
            *(
                f"principalSet://{_POOL}/subject/s",
                f"principalSet://{_POOL}/attribute.a",
                f"principal://{_POOL}/subject/ a",
            ),
            *(
                f"principalSet://{_RESOURCES}/projects/acme/type/ServiceAccount",
                f"principalSet://{_RESOURCES}/projects/1",
            ),
            "principalSet://iam.googleapis.com/locations/global/workloadIdentityPools/p/*",
        ),
    ),
    "access.sign_in_rotation": _ROTATION,
}

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
