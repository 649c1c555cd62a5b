"""The table of the field rules: for every field of the model, values that it takes and values that it refuses."""

from typing import Final

from tests.settings.access_rows import ACCESS
from tests.settings.files import DIGEST, IMAGE
from tests.settings.operations_rows import OPERATIONS
from tests.settings.row import DEPENDENT_FLAG, FLAG, ROTATION, Row, each

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
    "database.serving_instance": Row(
        good=("", "mlflow-db-rescue", "a", "a" * 36),
        bad=("-a", "a-", "A", "1a", "a" * 98, "acme-ml-dev:mlflow-db", "a\n"),
    ),
    "database.high_availability": DEPENDENT_FLAG,
    "database.backups": FLAG,
    "database.backup_retention": Row(good=(1, 365), bad=(0, 366, -7)),
    "database.retain_backups_on_delete": FLAG,
    "database.point_in_time_recovery": FLAG,
    "database.deletion_protection": FLAG,
    "database.maintenance_day": Row(good=(1, 7), bad=(0, 8)),
    "database.maintenance_hour": Row(good=(0, 23), bad=(-1, 24)),
    "database.login": Row(good=("password", "both", "iam"), bad=("", "IAM", "none", "token", "iam\n")),
    "database.rotation": ROTATION,
    "bucket.name": Row(
        good=("", "abc", "a" * 63, "0a_b-c9"),
        bad=("ab", "a" * 64, "models.example.com", "abc-", "aBc", "google-models", "my-g00gle-b", "abc\n", "a b"),
    ),
    "bucket.versioning": FLAG,
    "bucket.delete_noncurrent_after_days": Row(good=(1, 3_650), bad=(0, 3_651)),
    "bucket.soft_delete_days": Row(good=(0, 7, 90), bad=(-1, 1, 6, 91)),
    "bucket.force_destroy": FLAG,
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
        good=each("gs://abc", "gs://acme-ml-shared/models", "gs://models.example.com/a/b_c.d-e"),
        bad=each(
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
    "service.artifact_links": FLAG,
    "service.webhooks": FLAG,
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
    **ACCESS,
    **OPERATIONS,
}
