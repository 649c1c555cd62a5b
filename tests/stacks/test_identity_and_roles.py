"""Promises on who may do what."""

import json

import pytest

from tests.stacks.documents import NAMES, document, resource, resources

SERVER = "${google_service_account.tracking.member}"

GRANTS = {
    ("google_project_iam_member.cloudsql_client", "roles/cloudsql.client", SERVER),
    ("google_secret_manager_secret_iam_member.backend_store_uri", "roles/secretmanager.secretAccessor", SERVER),
    ("google_secret_manager_secret_iam_member.oauth2_proxy", "roles/secretmanager.secretAccessor", SERVER),
    ("google_storage_bucket_iam_member.server_reads", "roles/storage.objectViewer", SERVER),
    ("google_storage_bucket_iam_member.clients_write", "roles/storage.objectUser", "${each.value}"),
    ("google_cloud_run_v2_service_iam_member.public", "roles/run.invoker", "allUsers"),
}


@pytest.mark.parametrize("environment", NAMES)
def test_these_are_all_the_grants(environment: str) -> None:
    granted = {
        (address, body["role"], body["member"])
        for address, body in resources(environment).items()
        if "_iam_" in address
    }
    assert granted == GRANTS


@pytest.mark.parametrize("environment", NAMES)
def test_the_service_runs_as_an_account_of_its_own(environment: str) -> None:
    template = resource(environment, "google_cloud_run_v2_service.tracking")["template"]
    assert template["service_account"] == "${google_service_account.tracking.email}"
    others = json.dumps({k: v for k, v in resources(environment).items() if "iam_member" not in k})
    assert others.count("google_service_account.tracking.") == 1


def test_the_database_role_holds_for_the_one_instance() -> None:
    grant = resource("dev", "google_project_iam_member.cloudsql_client")
    assert grant["project"] == "acme-ml-dev"
    assert grant["condition"]["expression"] == (
        "resource.name == 'projects/acme-ml-dev/instances/mlflow-db' && resource.service == 'sqladmin.googleapis.com'"
    )


def test_each_secret_and_the_bucket_are_granted_alone() -> None:
    for name in ("backend_store_uri", "oauth2_proxy"):
        grant = resource("dev", f"google_secret_manager_secret_iam_member.{name}")
        assert grant["secret_id"] == f"${{google_secret_manager_secret.{name}.id}}"
    for name in ("server_reads", "clients_write"):
        assert resource("dev", f"google_storage_bucket_iam_member.{name}")["bucket"] == (
            "${google_storage_bucket.artifacts.name}"
        )


def test_writers_are_the_client_members_of_the_settings() -> None:
    grant = resource("maximal", "google_storage_bucket_iam_member.clients_write")
    assert grant["for_each"] == "${local.artifact_writers}"
    assert document("maximal")["locals"]["artifact_writers"] == {
        "data-science": "group:data-science@example.com",
        "trainer": "serviceAccount:trainer@other-project.iam.gserviceaccount.com",
    }


def test_a_revision_waits_for_every_grant_that_it_needs() -> None:
    waits_for = resource("dev", "google_cloud_run_v2_service.tracking")["depends_on"]
    needed = {address for address, _, member in GRANTS if member == SERVER}
    assert needed <= set(waits_for)
    assert {"google_sql_user.mlflow", "google_sql_database.mlflow"} <= set(waits_for)


def test_only_the_settings_decide_how_the_public_reaches_it() -> None:
    assert resource("dev", "google_cloud_run_v2_service.tracking")["invoker_iam_disabled"] is True
    assert resource("maximal", "google_cloud_run_v2_service.tracking")["invoker_iam_disabled"] is False
    assert document("dev")["locals"]["invoker_iam_disabled"] is True
    assert document("maximal")["locals"]["invoker_iam_disabled"] is False
    assert resource("dev", "google_cloud_run_v2_service_iam_member.public")["count"] == (
        "${nonsensitive(local.invoker_iam_disabled) ? 0 : 1}"
    )
