"""Promises on who gets in, and on what a deployment tells."""

from typing import Any

import pytest

from harness.google_endpoints import ADC_AUDIENCE
from localcloud.machine.identity import GCLOUD_AUDIENCE
from tests.stacks.documents import NAMES, document, variables
from tests.stacks.evaluate import evaluate


def value(environment: str, name: str) -> str:
    return evaluate(variables(environment)[name]["value"], locals_=document(environment)["locals"])


def outputs(environment: str) -> dict[str, Any]:
    """What is known before anything exists."""
    values = {name: output["value"] for name, output in document(environment)["output"].items()}
    known = {name: value for name, value in values.items() if "google_" not in str(value)}
    return evaluate(known, locals_=document(environment)["locals"])


def test_who_has_access_is_plain_in_the_plan() -> None:
    assert value("maximal", "OAUTH2_PROXY_EMAIL_DOMAINS") == "example.com,acme-ml-prod.iam.gserviceaccount.com"
    assert value("maximal", "OAUTH_PROXY_EMAILS") == ("ada@example.org,trainer@other-project.iam.gserviceaccount.com")
    assert value("dev", "OAUTH_PROXY_EMAILS") == ""


def test_tokens_are_accepted_for_the_services_urls() -> None:
    assert value("maximal", "OAUTH2_PROXY_OIDC_EXTRA_AUDIENCES") == (
        "https://tracking-210987654321.us-central1.run.app,https://mlflow.example.com,"
        "https://mlflow.internal.example.com"
    )


def test_tokens_for_clients_of_google_are_accepted_in_dev_alone() -> None:
    assert value("dev", "OAUTH2_PROXY_OIDC_EXTRA_AUDIENCES").split(",") == [
        "https://mlflow-123456789012.europe-west1.run.app",
        GCLOUD_AUDIENCE,
        ADC_AUDIENCE,
    ]
    for client in (GCLOUD_AUDIENCE, ADC_AUDIENCE):
        assert client not in value("prod", "OAUTH2_PROXY_OIDC_EXTRA_AUDIENCES")


@pytest.mark.parametrize("environment", NAMES)
def test_the_redirect_uri_to_register_is_the_proxys(environment: str) -> None:
    assert outputs(environment)["redirect_uri"] == value(environment, "OAUTH2_PROXY_REDIRECT_URL")


def test_urls_are_known_before_the_service_exists() -> None:
    assert document("dev")["output"]["url"]["value"] == "https://mlflow-123456789012.europe-west1.run.app"
    assert outputs("dev")["redirect_uri"] == "https://mlflow-123456789012.europe-west1.run.app/oauth2/callback"
    assert outputs("maximal")["redirect_uri"] == "https://mlflow.example.com/oauth2/callback"


def test_the_commands_fit_the_access_settings() -> None:
    dev, prod = outputs("dev"), outputs("prod")
    assert dev["curl"] == (
        'curl --header "Authorization: Bearer $(gcloud auth print-identity-token)"'
        " 'https://mlflow-123456789012.europe-west1.run.app/api/2.0/mlflow/experiments/search?max_results=10'"
    )
    assert (
        "$(gcloud auth print-identity-token"
        " --impersonate-service-account=trainer@acme-ml-prod.iam.gserviceaccount.com"
        " --audiences=https://mlflow-210987654321.europe-west4.run.app --include-email)"
    ) in prod["python"]


@pytest.mark.parametrize("environment", NAMES)
def test_programs_with_the_client_package_need_two_variables(environment: str) -> None:
    found = outputs(environment)
    address = found["tracking_uri"]
    assert found["client_environment"] == f"export MLFLOW_TRACKING_URI='{address}' MLFLOW_TRACKING_AUTH=google"


@pytest.mark.parametrize("environment", NAMES)
def test_every_output_has_a_description_and_none_is_a_secret(environment: str) -> None:
    for output in document(environment)["output"].values():
        assert output["description"]
        assert "ephemeral." not in output["value"]
        assert "oauth_client_secret" not in output["value"]
