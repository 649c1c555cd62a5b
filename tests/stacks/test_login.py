"""Promises on how service and jobs log in to the database."""

from typing import Any

import pytest

from stacks import addresses
from tests.stacks.documents import document, resource, variables
from tests.stacks.evaluate import evaluate

EMAIL = "mlflow-server@acme-ml-dev.iam.gserviceaccount.com"
# The service, and one job of the three.
PLACES = [("", addresses.ACCOUNT), ("jobs_", addresses.JOB_ACCOUNTS)]
STAND_INS = {
    addresses.ACCOUNT.ref("email")[2:-1]: EMAIL,
    f"{addresses.JOB_ACCOUNTS}[each.key].email": EMAIL,
}
JOBS = {"gc": {"email": "mlflow-gc@acme-ml-dev.iam.gserviceaccount.com"}}


def found(value: Any, **changes: Any) -> Any:
    return evaluate(value, locals_=document("dev")["locals"] | changes, stand_ins=STAND_INS)


@pytest.mark.parametrize(
    ("engine", "name"), [("postgresql", EMAIL.removesuffix(".gserviceaccount.com")), ("mysql", EMAIL)]
)
@pytest.mark.parametrize("prefix", ["", "jobs_"])
def test_an_account_has_the_name_that_its_engine_wants_and_no_password(prefix: str, engine: str, name: str) -> None:
    user = resource("dev", addresses.DATABASE_ACCOUNT.of(prefix))
    assert user["type"] == "CLOUD_IAM_SERVICE_ACCOUNT"
    assert not [argument for argument in user if "password" in argument]
    assert found(user["name"], database_engine=engine) == name


@pytest.mark.parametrize(("login", "made"), [("password", 0), ("both", 1), ("iam", 1)])
def test_exactly_those_that_log_in_have_a_user_and_the_role(login: str, made: int) -> None:
    job = {"job": {"schedule": ""}}
    for address in (addresses.DATABASE_ACCOUNT, addresses.DATABASE_LOGIN):
        assert found(resource("dev", address)["count"], database_login=login) == made
        keys = found(resource("dev", address.of("jobs_"))["for_each"], database_login=login, jobs=job)
        assert list(keys) == ["job"][:made]


@pytest.mark.parametrize(("environment", "on"), [("dev", False), ("maximal", True)])
def test_the_flag_is_on_where_accounts_log_in(environment: str, on: bool) -> None:  # noqa: FBT001 - a row of a table
    flags = resource(environment, addresses.INSTANCE)["settings"]["database_flags"]
    assert ({"name": "cloudsql.iam_authentication", "value": "on"} in flags) == on


def test_service_and_jobs_are_told_how_they_log_in_and_who_does() -> None:
    given = variables("maximal")
    assert found(given["DATABASE_LOGIN"]["value"], database_login="iam") == "iam"
    accounts = given["DATABASE_ACCOUNTS"]["value"].replace(addresses.JOB_ACCOUNTS, "local.accounts")
    assert found(accounts, accounts=JOBS) == f"{EMAIL},{JOBS['gc']['email']}"
    job = resource("maximal", addresses.JOBS)["template"]["template"]["containers"][0]["env"]
    assert {it["name"]: it for it in job}["DATABASE_ACCOUNTS"] == given["DATABASE_ACCOUNTS"]


def test_with_accounts_the_connection_string_has_neither_user_nor_password() -> None:
    secret = resource("dev", addresses.version_of(addresses.BACKEND_STORE_URI))
    known = {f"{addresses.INSTANCE}.connection_name": "p:r:i", f"{addresses.INSTANCE}.private_ip_address": "10.27.0.3"}
    values = {}
    for login in ("password", "both", "iam"):
        locals_ = document("dev")["locals"] | {"database_login": login, "serving_instance": ""}
        text = secret["secret_data_wo"].replace("ephemeral.random_password.database.result", "local.secret")
        values[login] = evaluate(text, locals_=locals_ | {"secret": "p/w"}, stand_ins=known)
    by_password = "postgresql+psycopg2://mlflow:p%2Fw@/mlflow?host=/cloudsql/p:r:i"  # noqa: S105
    assert values == dict.fromkeys(("password", "both"), by_password) | {
        "iam": "postgresql+psycopg2:///mlflow?host=/cloudsql/p:r:i"
    }


def test_there_and_back_string_and_password_are_written_again_and_the_step_between_writes_nothing() -> None:
    secret = resource("dev", addresses.version_of(addresses.BACKEND_STORE_URI))
    version = resource("dev", addresses.DATABASE_USER)["password_wo_version"]
    assert version == secret["secret_data_wo_version"]
    password, both, iam = (found(version, database_login=login) for login in ("password", "both", "iam"))
    assert password == both != iam
    assert iam > found(version, database_rotation=1_000_000)
