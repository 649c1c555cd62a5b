"""Promises on secrets: three, in no document, rotated one by one or never."""

import base64
import json
import re
import tomllib

import pytest

from image.mlflow_cloudrun import environment
from stacks import addresses
from tests.stacks.documents import NAMES, document, resource, resources, text
from tests.stacks.evaluate import evaluate

# What breaks quoting in TOML, JSON, HCL or a URL, and a few that look as if they did.
AWKWARD = "GOCSPX-'#=[]{}<>&\u007f\u00e9\u2028@:/?%+ tail"


@pytest.mark.parametrize("environment", NAMES)
def test_there_are_three_secrets(environment: str) -> None:
    secrets = {address for address in resources(environment) if address.startswith("google_secret_manager_secret.")}
    assert secrets == {
        addresses.BACKEND_STORE_URI,
        addresses.ENCRYPTION_KEY,
        addresses.OAUTH2_PROXY,
    }


@pytest.mark.parametrize("environment", NAMES)
def test_secret_values_go_through_write_only_arguments_alone(environment: str) -> None:
    ephemeral = ("ephemeral.", "var.oauth_client_secret")
    carriers = {
        (address, argument)
        for address, body in resources(environment).items()
        for argument, value in body.items()
        if any(name in json.dumps(value) for name in ephemeral)
    }
    assert carriers == {
        (addresses.version_of(addresses.BACKEND_STORE_URI), "secret_data_wo"),
        (addresses.version_of(addresses.ENCRYPTION_KEY), "secret_data_wo"),
        (addresses.version_of(addresses.OAUTH2_PROXY), "secret_data_wo"),
        (addresses.DATABASE_USER, "password_wo"),
    }
    rest = {key: value for key, value in document(environment).items() if key not in ("resource", "ephemeral")}
    assert not any(f"{name}" in json.dumps(rest) for name in ("ephemeral.", "var.oauth_client_secret}"))


def test_the_client_secret_is_an_ephemeral_variable_without_a_default() -> None:
    variable = document("dev")["variable"]["oauth_client_secret"]
    assert variable["ephemeral"] is True
    assert variable["nullable"] is False
    assert "default" not in variable


def test_the_password_is_written_before_the_string_that_holds_it() -> None:
    version = resource("dev", addresses.version_of(addresses.BACKEND_STORE_URI))
    assert addresses.DATABASE_USER in version["depends_on"]


@pytest.mark.parametrize("name", ["backend_store_uri", "oauth2_proxy"])
def test_a_new_version_exists_before_the_old_is_disabled(name: str) -> None:
    version = resource("dev", f"google_secret_manager_secret_version.{name}")
    assert version["lifecycle"] == {"create_before_destroy": True}
    assert version["deletion_policy"] == "DISABLE"


def test_database_and_sign_in_rotate_apart() -> None:
    database = resource("maximal", addresses.version_of(addresses.BACKEND_STORE_URI))
    sign_in = resource("maximal", addresses.version_of(addresses.OAUTH2_PROXY))
    user = resource("maximal", addresses.DATABASE_USER)
    assert database["secret_data_wo_version"] == user["password_wo_version"]
    locals_ = document("maximal")["locals"] | {"database_login": "password"}
    versions = {
        evaluate(database["secret_data_wo_version"], locals_=locals_ | {"network_vpc": "", **other})
        for other in (
            {},
            {"serving_instance": "rescue"},
            {"serving_instance": "rescue-2"},
            {"network_vpc": "projects/acme-net/global/networks/ml"},
            {"network_vpc": "projects/acme-net/global/networks/ml", "network_database_address": "10.27.0.4"},
        )
    }
    assert 3 in versions, "the number of the settings, where the own instance serves by its socket"
    assert len(versions) == 5, "another instance or another way, another connection string"
    assert sign_in["secret_data_wo_version"] == 5
    assert "random_password.cookie_secret" not in database["secret_data_wo"]
    assert "random_password.database" not in sign_in["secret_data_wo"]


@pytest.mark.parametrize(
    ("environment", "network", "expected"),
    [
        ("dev", "", "postgresql+psycopg2://mlflow:{}@/mlflow?host=/cloudsql/P:R:I"),
        ("mysql", "", "mysql+pymysql://mlflow:{}@/mlflow?unix_socket=/cloudsql/P:R:I"),
        (
            "dev",
            "projects/p/global/networks/ml",
            "postgresql+psycopg2://mlflow:{}@10.27.0.3:5432/mlflow?sslmode=verify-ca&sslrootcert=/tmp/database-ca.pem",
        ),
        (
            "mysql",
            "projects/p/global/networks/ml",
            "mysql+pymysql://mlflow:{}@10.27.0.3:3306/mlflow?ssl_ca=/tmp/database-ca.pem&ssl_check_hostname=false",
        ),
    ],
)
def test_the_connection_string_is_the_engines(environment: str, network: str, expected: str) -> None:
    value = evaluate(
        resource(environment, addresses.version_of(addresses.BACKEND_STORE_URI))["secret_data_wo"],
        locals_=document(environment)["locals"] | {"network_vpc": network},
        stand_ins={
            "ephemeral.random_password.database.result": "p@ss/w:rd",
            f"{addresses.INSTANCE}.connection_name": "P:R:I",
            f"{addresses.INSTANCE}.private_ip_address": "10.27.0.3",
        },
    )
    assert value == expected.format("p%40ss%2Fw%3Ard")


def test_the_proxy_file_is_toml_for_any_value() -> None:
    value = evaluate(
        resource("dev", addresses.version_of(addresses.OAUTH2_PROXY))["secret_data_wo"],
        locals_=document("dev")["locals"],
        stand_ins={"var.oauth_client_secret": AWKWARD, "ephemeral.random_password.cookie_secret.result": "c" * 43},
    )
    assert tomllib.loads(value) == {
        "client_id": "123456789012-abcdefgh.apps.googleusercontent.com",
        "client_secret": AWKWARD,
        "cookie_secret": "c" * 43,
    }


def test_the_cookie_secret_is_url_safe_base64_of_32_bytes() -> None:
    cookie = document("dev")["ephemeral"]["random_password"]["cookie_secret"]
    assert cookie["special"] is False
    assert len(base64.urlsafe_b64decode("a" * cookie["length"] + "=")) == 32


def given_away(document: str) -> list[str]:
    """What looks like a secret in a document, beside what Terraform fills in."""
    literals = re.sub(r"\$\{[^{}]*\}", "", document)
    return [found[0] for found in re.finditer(environment.GIVEAWAY_VALUE, literals)]


@pytest.mark.parametrize("name", NAMES)
def test_no_literal_in_the_document_looks_like_a_secret(name: str) -> None:
    assert given_away(text(name, "tracking")) == []


@pytest.mark.parametrize("secret", ["hunter2", "GOCSPX-abc"])
def test_a_literal_that_is_a_secret_would_be_noticed(secret: str) -> None:
    user_part = r"\$\{local\.database_login == [^}]*\}:\$\{urlencode\([^}]*\)\}@[^}]*\}"
    written, parts = re.subn(user_part, f"mlflow:{secret}@", text("dev", "tracking"))
    assert parts == 1
    assert given_away(written)
