"""Promises on the Cloud Run service."""

import pytest

from stacks import addresses
from stacks.mlflow import CONNECTIONS_PER_INSTANCE
from tests.stacks.documents import NAMES, container, document, resource, variables
from tests.stacks.evaluate import evaluate

SERVICE = addresses.SERVICE


@pytest.mark.parametrize("environment", NAMES)
def test_the_cpu_is_always_on(environment: str) -> None:
    resources = container(environment)["resources"]
    assert resources["cpu_idle"] is False
    assert resources["startup_cpu_boost"] is True


@pytest.mark.parametrize("environment", NAMES)
def test_requests_enter_through_the_proxy(environment: str) -> None:
    assert container(environment)["ports"] == {"container_port": 4180}
    assert container(environment)["startup_probe"]["http_get"] == {"path": "/ready", "port": 4180}
    assert container(environment)["liveness_probe"]["http_get"] == {"path": "/ping", "port": 4180}


@pytest.mark.parametrize("environment", NAMES)
def test_the_startup_probe_stays_within_cloud_runs_limit(environment: str) -> None:
    probe = container(environment)["startup_probe"]
    assert probe["period_seconds"] * probe["failure_threshold"] <= 240
    assert probe["timeout_seconds"] <= probe["period_seconds"]


def test_the_defaults_are_the_articles() -> None:
    template = resource("dev", SERVICE)["template"]
    assert container("dev")["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}
    assert template["timeout"] == "300s"
    assert template["max_instance_request_concurrency"] == 80
    assert template["scaling"] == {"min_instance_count": 0, "max_instance_count": 3}
    assert resource("dev", SERVICE)["ingress"] == "INGRESS_TRAFFIC_ALL"


def test_the_settings_replace_each_default() -> None:
    template = resource("maximal", SERVICE)["template"]
    assert container("maximal")["resources"]["limits"] == {"cpu": "2", "memory": "4Gi"}
    assert template["timeout"] == "600s"
    assert template["max_instance_request_concurrency"] == 40
    assert template["scaling"] == {"min_instance_count": 2, "max_instance_count": 10}
    assert resource("maximal", SERVICE)["ingress"] == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"


@pytest.mark.parametrize("environment", NAMES)
def test_the_second_generation_environment_and_no_protection_of_what_holds_no_data(environment: str) -> None:
    assert resource(environment, SERVICE)["template"]["execution_environment"] == "EXECUTION_ENVIRONMENT_GEN2"
    assert resource(environment, SERVICE)["deletion_protection"] is False


@pytest.mark.parametrize("environment", NAMES)
def test_the_database_is_a_mounted_socket(environment: str) -> None:
    volumes = {volume["name"]: volume for volume in resource(environment, SERVICE)["template"]["volumes"]}
    mounts = {mount["name"]: mount["mount_path"] for mount in container(environment)["volume_mounts"]}
    assert mounts["cloudsql"] == "/cloudsql"
    known = {f"{addresses.INSTANCE}.connection_name": "P:R:I"}
    (connection,) = volumes["cloudsql"]["cloud_sql_instance"]["instances"]
    assert evaluate(connection, locals_=document(environment)["locals"], stand_ins=known) == "P:R:I"
    other = document(environment)["locals"] | {"serving_instance": "rescue"}
    assert evaluate(connection, locals_=other, stand_ins=known) == "P:R:rescue"


@pytest.mark.parametrize("environment", NAMES)
def test_both_secrets_are_named_by_version_number(environment: str) -> None:
    store = variables(environment)["BACKEND_STORE_URI"]["value_source"]["secret_key_ref"]
    assert store["version"] == addresses.version_of(addresses.BACKEND_STORE_URI).ref("version")
    volumes = {volume["name"]: volume for volume in resource(environment, SERVICE)["template"]["volumes"]}
    (item,) = volumes["oauth2-proxy"]["secret"]["items"]
    assert item["version"] == addresses.version_of(addresses.OAUTH2_PROXY).ref("version")


@pytest.mark.parametrize("environment", NAMES)
def test_the_proxy_file_lies_where_its_variable_says(environment: str) -> None:
    mounts = {mount["name"]: mount["mount_path"] for mount in container(environment)["volume_mounts"]}
    volumes = {volume["name"]: volume for volume in resource(environment, SERVICE)["template"]["volumes"]}
    (item,) = volumes["oauth2-proxy"]["secret"]["items"]
    named = variables(environment)["OAUTH_PROXY_CONFIG"]["value"]
    assert named == f"{mounts['oauth2-proxy']}/{item['path']}"


@pytest.mark.parametrize("environment", NAMES)
def test_mlflow_fits_the_memory_and_the_connections(environment: str) -> None:
    found = variables(environment)
    for name, value in {
        "MLFLOW_WORKERS": "1",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVE_ARTIFACTS": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MALLOC_ARENA_MAX": "2",
    }.items():
        assert found[name]["value"] == value
    pool = int(found["MLFLOW_SQLALCHEMYSTORE_POOL_SIZE"]["value"])
    overflow = int(found["MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW"]["value"])
    assert pool + overflow == CONNECTIONS_PER_INSTANCE
    assert found["DEFAULT_ARTIFACT_ROOT"]["value"] == f"gs://{addresses.BUCKET.ref('name')}"


@pytest.mark.parametrize(("environment", "seconds"), [("dev", "300"), ("maximal", "600")])
def test_one_limit_of_time_holds_in_every_layer(environment: str, seconds: str) -> None:
    assert resource(environment, SERVICE)["template"]["timeout"] == f"{seconds}s"
    assert variables(environment)["REQUEST_TIMEOUT_SECONDS"]["value"] == int(seconds)


@pytest.mark.parametrize("environment", NAMES)
def test_the_container_knows_its_project_for_its_traces(environment: str) -> None:
    assert variables(environment)["GOOGLE_CLOUD_PROJECT"]["value"] == resource(environment, SERVICE)["project"]


def test_mlflow_knows_both_urls() -> None:
    def value(environment: str, name: str) -> str:
        return evaluate(variables(environment)[name]["value"], locals_=document(environment)["locals"])

    own = "tracking-210987654321.us-central1.run.app"
    assert value("maximal", "MLFLOW_SERVER_ALLOWED_HOSTS") == f"{own},mlflow.example.com"
    assert value("maximal", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS") == f"https://{own},https://mlflow.example.com"
    assert value("dev", "MLFLOW_SERVER_ALLOWED_HOSTS") == "mlflow-123456789012.europe-west1.run.app"


def test_extra_variables_reach_the_container_literally() -> None:
    found = variables("maximal")
    assert found["MLFLOW_LOGGING_LEVEL"]["value"] == "DEBUG"
    assert evaluate(found["GREETING"]["value"], locals_={}) == "${literally} %{this}"
