"""What a caller does not know yet, or must not show, plans and applies: attributes of others, sensitive values."""

from __future__ import annotations

import json
import shutil
import tomllib
from typing import TYPE_CHECKING, Any, Final

import pytest

from stacks.hcl import escaped
from tests.localcloud.keys import make_key
from tests.localcloud.vpcs import make_network, move
from tests.module.clouds import MODULE, copy_of_module, opened, prepare
from tools.docs import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# All settings, with other values than their defaults; only its deployment is one that can be made and destroyed here.
EVERYTHING: Final = CHECKOUT / "tests/stacks/environments/maximal.toml"
OTHERS: Final[dict[str, Any]] = {
    "profile": "dev",
    "project_id": "acme-ml-dev",
    "project_number": "123456789012",
    "region": "europe-west1",
    "encryption": {"kms_key": "projects/acme-keys/locations/europe-west1/keyRings/ml/cryptoKeys/mlflow"},
    "network": {
        "vpc": "projects/acme-ml-dev/global/networks/ml",
        "subnet": "projects/acme-ml-dev/regions/europe-west1/subnetworks/mlflow",
        "database_address": "10.27.0.3",  # the first that is given away
        "database_ca": "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n",
    },
    "names": {
        "backend_store_uri_secret": "uri",
        "encryption_key_secret": "key",
        "instance": "database",
        "oauth2_proxy_secret": "proxy",
        "service": "mlflow",
        "service_account": "server",
    },
    # Of the service's module, which is given what exists.
    "bucket_name": "acme-ml-dev-shared",
    "service_account_email": "tracking@acme-ml-dev.iam.gserviceaccount.com",
}
IMAGE: Final = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow:3.17.2"
EXISTING: Final = {
    "connection_name": "acme-ml-dev:europe-west1:shared",
    "engine": "postgresql",
    "login": "iam",
    "name": "research",
    "rotation": 2,
    "user": "research",
}
# Terraform must know what there will be; the page says so.
COUNTED: Final = {
    "access_invoker_iam_disabled",
    "database_login",
    "jobs_enabled",
    "jobs_gc_schedule",
    "jobs_archive_schedule",
    "monitoring_enabled",
    "monitoring_uptime_check",
    "service_artifact_links",
}
SECRET: Final = "oauth_client_secret"  # noqa: S105 - its name


def values(variables: Path) -> Iterator[tuple[str, str, Any]]:
    """Every attribute of every variable: the variable, the attribute ("" if it has none), and a value."""
    settings = tomllib.loads(EVERYTHING.read_text()) | OTHERS
    settings["service"]["image"] = IMAGE
    for name, variable in json.loads(variables.read_text())["variable"].items():
        if name == SECRET:
            continue
        table = EXISTING if name == "database" and "connection_name" in variable["type"] else settings[name]
        if not variable["type"].startswith("object"):
            yield name, "", table
        else:
            # The type names them all, and `settings` has them all.
            yield from ((name, key, value) for key, value in table.items() if f"{key} = " in variable["type"])


def call(folder: Path, module: str, known: str, *, as_they_are: set[str]) -> Path:
    """A root module that gives each attribute as what `known` makes of it: `KEY` stands for each."""
    copy_of_module(folder)
    made: dict[str, Any] = {}
    given: dict[str, Any] = {}
    for variable, attribute, value in values(folder / "module" / module / "variables.tf.json"):
        key = f"{variable}_{attribute}"
        section = given.setdefault(variable, {}) if attribute else given
        expression = "${" + known.replace("KEY", key) + "}"
        if key in as_they_are:
            section[attribute or variable] = escaped(value)
        elif key in ("access_artifact_writers", "monitoring_emails"):  # the names of grants and channels are known
            made |= {f"{key}_{number}": member for number, member in enumerate(value.values())}
            members = ["${" + known.replace("KEY", f"{key}_{number}") + "}" for number in range(len(value))]
            section[attribute] = dict(zip(value, members, strict=True))
        else:
            made[key] = value
            section[attribute or variable] = expression
    document = {
        "terraform": {"required_providers": {"google": {"source": "hashicorp/google"}}},
        "provider": {"google": {"project": OTHERS["project_id"], "region": OTHERS["region"]}},
        "variable": {
            SECRET: {"type": "string", "ephemeral": True},
            **{f"made_{key}": {"default": escaped(value), "sensitive": True} for key, value in made.items()},
        },
        "resource": {"terraform_data": {f"made_{key}": {"input": escaped(value)} for key, value in made.items()}},
        "module": {"mlflow": {**given, "source": f"./module/{module}", SECRET: "${var.oauth_client_secret}"}},
    }
    (folder / "main.tf.json").write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize("module", [".", "modules/service"])
@pytest.mark.parametrize(
    ("known", "as_they_are"),
    [("terraform_data.made_KEY.output", COUNTED), ("var.made_KEY", set())],
    ids=["known after apply", "sensitive"],
)
def test_every_attribute_plans_and_applies(
    tmp_path: Path, enabled: Path, module: str, known: str, as_they_are: set[str]
) -> None:
    home = shutil.copytree(enabled, tmp_path / "cloud")
    make_key(home, OTHERS["encryption"]["kms_key"], OTHERS["project_id"], OTHERS["project_number"])
    make_network(home, OTHERS["network"]["vpc"], OTHERS["network"]["subnet"])
    if module != ".":
        prepare(home, tmp_path, "existing")
        move(home, "acme-ml-dev:shared", OTHERS["network"]["vpc"])
    (tmp_path / "root").mkdir()
    with opened(home, call(tmp_path / "root", module, known, as_they_are=as_they_are)) as workspace:
        workspace.apply()
        grants = [address for address in workspace.addresses() if "clients_write" in address]
        assert [grant.rpartition('["')[2] for grant in grants] == ['data-science"]', 'trainer"]']
        assert workspace.plans_nothing()


def test_every_attribute_is_tried() -> None:
    for module in (".", "modules/service"):
        declared = json.loads((MODULE / module / "variables.tf.json").read_text())["variable"]
        attributes = sum(one["type"].count(" = ") or 1 for name, one in declared.items() if name != SECRET)
        assert len(list(values(MODULE / module / "variables.tf.json"))) == attributes
