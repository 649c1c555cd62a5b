"""Promises on who may do what."""

import json

import pytest

from stacks import addresses
from tests.stacks.documents import NAMES, document, resource, resources, variables
from tests.stacks.evaluate import evaluate

SERVER = addresses.ACCOUNT.ref("member")
JOB = f"${{{addresses.JOB_ACCOUNTS}[each.key].member}}"

GRANTS = {
    (addresses.DATABASE_CLIENT, "roles/cloudsql.client", SERVER),
    (addresses.DATABASE_LOGIN, "roles/cloudsql.instanceUser", SERVER),
    (addresses.accessor_of(addresses.BACKEND_STORE_URI), "roles/secretmanager.secretAccessor", SERVER),
    (addresses.accessor_of(addresses.ENCRYPTION_KEY), "roles/secretmanager.secretAccessor", SERVER),
    (addresses.accessor_of(addresses.OAUTH2_PROXY), "roles/secretmanager.secretAccessor", SERVER),
    (addresses.ARTIFACT_VIEWER, "roles/storage.objectViewer", SERVER),
    (addresses.ARTIFACT_LINKS, "roles/storage.objectUser", SERVER),
    (addresses.LINK_SIGNER, "roles/iam.serviceAccountTokenCreator", SERVER),
    (addresses.ARTIFACT_WRITERS, "roles/storage.objectUser", "${each.value}"),
    (addresses.PUBLIC_INVOKER, "roles/run.invoker", "allUsers"),
    (addresses.DATABASE_CLIENT.of("jobs_"), "roles/cloudsql.client", JOB),
    (addresses.DATABASE_LOGIN.of("jobs_"), "roles/cloudsql.instanceUser", JOB),
    (addresses.accessor_of(addresses.BACKEND_STORE_URI).of("jobs_"), "roles/secretmanager.secretAccessor", JOB),
    (addresses.ARTIFACT_MANAGER.of("jobs_"), "roles/storage.objectUser", JOB),
    (addresses.JOB_INVOKER, "roles/run.invoker", f"${{one({addresses.SCHEDULER_ACCOUNT}[*].member)}}"),
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
    template = resource(environment, addresses.SERVICE)["template"]
    assert template["service_account"] == addresses.ACCOUNT.ref("email")
    others = {
        k: v for k, v in resources(environment).items() if "iam_member" not in k and k != addresses.DATABASE_ACCOUNT
    }
    named = json.dumps(others).replace(json.dumps(_accounts(environment)), "")
    assert named.count(f"{addresses.ACCOUNT}.") == 1


def _accounts(environment: str) -> str:
    return variables(environment)["DATABASE_ACCOUNTS"]["value"]


@pytest.mark.parametrize("address", [addresses.DATABASE_CLIENT, addresses.DATABASE_LOGIN])
def test_the_database_roles_hold_for_the_one_instance(address: addresses.Address) -> None:
    grant = resource("dev", address)
    assert grant["project"] == "acme-ml-dev"
    assert evaluate(grant["condition"]["expression"], locals_=document("dev")["locals"]) == (
        "resource.name == 'projects/acme-ml-dev/instances/mlflow-db' && resource.service == 'sqladmin.googleapis.com'"
    )


def test_each_secret_and_the_bucket_are_granted_alone() -> None:
    for secret in (addresses.BACKEND_STORE_URI, addresses.OAUTH2_PROXY):
        assert resource("dev", addresses.accessor_of(secret))["secret_id"] == secret.ref("id")
    for grant in (addresses.ARTIFACT_VIEWER, addresses.ARTIFACT_WRITERS):
        assert resource("dev", grant)["bucket"] == addresses.BUCKET.ref("name")


def test_writers_are_the_client_members_of_the_settings() -> None:
    grant = resource("maximal", addresses.ARTIFACT_WRITERS)
    assert grant["for_each"] == "${local.artifact_writers}"
    assert document("maximal")["locals"]["artifact_writers"] == {
        "data-science": "group:data-science@example.com",
        "trainer": "serviceAccount:trainer@other-project.iam.gserviceaccount.com",
    }


def test_a_revision_waits_for_every_grant_that_it_needs() -> None:
    waits_for = resource("dev", addresses.SERVICE)["depends_on"]
    needed = {address for address, _, member in GRANTS if member == SERVER}
    assert needed <= set(waits_for)
    assert {addresses.DATABASE_USER, addresses.DATABASE} <= set(waits_for)


def test_only_the_settings_decide_how_the_public_reaches_it() -> None:
    assert resource("dev", addresses.SERVICE)["invoker_iam_disabled"] is True
    assert resource("maximal", addresses.SERVICE)["invoker_iam_disabled"] is False
    assert document("dev")["locals"]["invoker_iam_disabled"] is True
    assert document("maximal")["locals"]["invoker_iam_disabled"] is False
    assert resource("dev", addresses.PUBLIC_INVOKER)["count"] == ("${nonsensitive(local.invoker_iam_disabled) ? 0 : 1}")


@pytest.mark.parametrize(("environment", "there"), [("dev", []), ("maximal", ["links"])])
def test_the_server_writes_and_signs_only_where_it_hands_out_links(environment: str, there: list[str]) -> None:
    every = resources(environment)
    for address in (addresses.ARTIFACT_LINKS, addresses.LINK_SIGNER):
        assert evaluate(every[address]["for_each"], locals_=document(environment)["locals"]) == there
    assert every[addresses.LINK_SIGNER]["service_account_id"].endswith(
        f"/serviceAccounts/${{{addresses.ACCOUNT}.email}}"
    )
