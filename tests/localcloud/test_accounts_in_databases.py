"""A service account as a user of a database: what Google refuses, and who may log in, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from localcloud.services import iam, sql_logins
from localcloud.services.sql import Instance
from localcloud.services.sql_parts import User
from localcloud.terraform.model import Refused
from tests.localcloud.calls import enable, sent

if TYPE_CHECKING:
    from localcloud.provider import ResourceProvider
    from localcloud.resource import Cloud

PROJECT: Final = "demo-project"
EMAIL: Final = f"mlflow-server@{PROJECT}.iam.gserviceaccount.com"
SHORT: Final = EMAIL.removesuffix(".gserviceaccount.com")
ENGINES: Final[list[tuple[str, str, str, str]]] = [
    ("POSTGRES_17", "cloudsql.iam_authentication", SHORT, SHORT),
    ("MYSQL_8_4", "cloudsql_iam_authentication", EMAIL, "mlflow-server"),
]
CONNECTION: Final = f"{PROJECT}:us-central1:db"
CONDITION: Final = (
    f"resource.name == 'projects/{PROJECT}/instances/{{}}' && resource.service == 'sqladmin.googleapis.com'"
)


def instance(provider: ResourceProvider, version: str, flags: list[Any], prior: Any = None) -> Any:
    settings = {"tier": "db-custom-1-3840", "edition": "ENTERPRISE", "database_flags": flags}
    config = {"name": "db", "region": "us-central1", "database_version": version, "settings": [settings]}
    found, refused = sent(provider, Instance.type, prior, config)
    assert refused == ""
    return found


def account(provider: ResourceProvider) -> None:
    assert sent(provider, iam.ServiceAccount.type, None, {"account_id": "mlflow-server"})[1] == ""


def user(provider: ResourceProvider, name: str) -> tuple[Any, str]:
    return sent(provider, User.type, None, {"name": name, "instance": "db", "type": sql_logins.ACCOUNT})


def grant(provider: ResourceProvider, of: str) -> Any:
    condition = [{"title": "one", "expression": CONDITION.format(of)}]
    member = {"project": PROJECT, "role": "roles/cloudsql.instanceUser", "member": f"serviceAccount:{EMAIL}"}
    found, refused = sent(provider, iam.ProjectMember.type, None, {**member, "condition": condition})
    assert refused == ""
    return found


@pytest.fixture(autouse=True)
def apis(cloud: Cloud) -> None:
    enable(cloud, "sqladmin", "iam", "cloudresourcemanager")


@pytest.mark.parametrize("engine", ENGINES)
def test_who_may_log_in(provider: ResourceProvider, cloud: Cloud, engine: tuple[str, str, str, str]) -> None:
    version, flag, name, shown = engine
    made = instance(provider, version, [])
    assert "does not exist., invalid" in user(provider, name)[1], "the account"
    account(provider)
    assert 'role "cloudsqliamserviceaccount" does not exist' in user(provider, name)[1], "the flag"
    instance(provider, version, [{"name": flag, "value": "on"}], made)
    wrong = EMAIL if version.startswith("POSTGRES") else SHORT
    assert f"Provided {sql_logins.ACCOUNT}: " in user(provider, wrong)[1]
    assert user(provider, name)[1] == ""
    with pytest.raises(Refused, match=f'authentication failed for user "{shown}"'):
        sql_logins.log_in(cloud, CONNECTION, EMAIL)
    grant(provider, "another")
    assert not sql_logins.lets_in(cloud, CONNECTION, shown, EMAIL)
    granted = grant(provider, "db")
    sql_logins.log_in(cloud, CONNECTION, EMAIL)
    assert not sql_logins.lets_in(cloud, CONNECTION, shown, f"other@{PROJECT}.iam.gserviceaccount.com")
    assert sent(provider, iam.ProjectMember.type, granted, None)[1] == ""
    assert not sql_logins.lets_in(cloud, CONNECTION, shown, EMAIL)
