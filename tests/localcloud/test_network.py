"""A VPC network: what Google asks of it, and what a deployment that exists does."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest

from harness.workspace import one_line
from localcloud.services import compute, networks
from stacks import addresses
from tests.localcloud.calls import sent
from tests.localcloud.changes import actions
from tests.localcloud.vpcs import make_network, move

if TYPE_CHECKING:
    from localcloud.provider import ResourceProvider
    from tests.localcloud.conftest import Documents, Open

VPC: Final = "projects/demo-project/global/networks/ml"
DATABASE: Final = "google_sql_database_instance"
TRACKING: Final = "projects/acme-ml-dev/global/networks/ml"
SUBNET: Final = "projects/acme-ml-dev/regions/europe-west1/subnetworks/mlflow"


def database(name: str = "db", **ip: object) -> dict[str, Any]:
    settings = {
        "tier": "db-custom-1-3840",
        "edition": "ENTERPRISE",
        "ip_configuration": [{"ipv4_enabled": False, "private_network": VPC, **ip}],
    }
    return {"name": name, "region": "europe-west1", "database_version": "POSTGRES_17", "settings": [settings]}


@pytest.fixture
def network(provider: ResourceProvider) -> ResourceProvider:
    """A project with a network, and a range for Google's services."""
    for service in ("compute", "run", "servicenetworking", "sqladmin"):
        sent(provider, "google_project_service", None, {"service": f"{service}.googleapis.com"})
    assert sent(provider, networks.Network.type, None, {"name": "ml", "auto_create_subnetworks": False})[1] == ""
    allocate(provider, "google", 23)
    return provider


def allocate(provider: ResourceProvider, name: str, length: int) -> Any:
    wanted = {"name": name, "network": VPC, "purpose": compute.PEERING, "address_type": "INTERNAL"}
    found, refused = sent(
        provider, compute.Address.type, None, {**wanted, "address": "10.27.0.0", "prefix_length": length}
    )
    assert refused == ""
    return found


def connect(provider: ResourceProvider, *ranges: str) -> tuple[Any, str]:
    service = "servicenetworking.googleapis.com"
    wanted = {"network": VPC, "service": service, "reserved_peering_ranges": list(ranges)}
    return sent(provider, networks.Connection.type, None, wanted)


def test_a_network_without_a_connection_takes_no_database(network: ResourceProvider) -> None:
    assert "at least 1 private services connection" in sent(network, DATABASE, None, database())[1]
    assert "Cannot find the allocated range other" in connect(network, "other")[1]
    assert connect(network, "google")[1] == ""
    made, refused = sent(network, DATABASE, None, database())
    assert (refused, made["private_ip_address"], made["public_ip_address"]) == ("", "10.27.0.3", "")
    assert [found["type"] for found in made["ip_address"]] == ["PRIVATE"]
    assert made["server_ca_cert"][0]["cert"].startswith("-----BEGIN CERTIFICATE-----")


def test_a_full_range_takes_no_further_kind_of_database(network: ResourceProvider) -> None:
    connect(network, "google")
    found = [sent(network, DATABASE, None, database(name)) for name in ("first", "second")]
    mysql = {**database("third"), "database_version": "MYSQL_8_4"}
    found += [sent(network, DATABASE, None, mysql)]
    assert [made["private_ip_address"] for made, _ in found] == ["10.27.0.3", "10.27.0.4", "10.27.1.3"]
    elsewhere = {**database("fourth"), "region": "europe-west4"}
    assert "Couldn't find free blocks" in sent(network, DATABASE, None, elsewhere)[1]


def test_a_database_has_an_address_somewhere(network: ResourceProvider) -> None:
    assert "At least one of Public IP" in sent(network, DATABASE, None, database(private_network=None))[1]


def test_what_is_used_stays(network: ResourceProvider) -> None:
    connection, _ = connect(network, "google")
    made, _ = sent(network, DATABASE, None, database())
    assert "still using this connection" in sent(network, networks.Connection.type, connection, None)[1]
    vpc = network.read(networks.Network.type, {"id": VPC, "name": "ml", "project": "demo-project"})
    assert "already being used" in sent(network, networks.Network.type, vpc, None)[1]
    public = {**made, "deletion_protection": False}
    assert sent(network, DATABASE, made, public)[1] == ""
    assert sent(network, DATABASE, public, None)[1] == ""
    assert sent(network, networks.Connection.type, connection, None)[1] == ""


def test_a_connection_that_terraform_lets_go_of_keeps_its_network(network: ResourceProvider) -> None:
    connection, _ = connect(network, "google")
    sent(network, networks.Connection.type, {**connection, "deletion_policy": "ABANDON"}, None)
    vpc = network.read(networks.Network.type, {"id": VPC, "name": "ml", "project": "demo-project"})
    allocated = network.read(compute.Address.type, {"name": "google", "project": "demo-project"})
    assert sent(network, compute.Address.type, allocated, None)[1] == ""
    kept = f"{VPC}/peerings/servicenetworking-googleapis-com"
    assert f"already being used by '{kept}'" in sent(network, networks.Network.type, vpc, None)[1]


@pytest.mark.parametrize(
    ("kind", "levels"), [("google_cloud_run_v2_service", 1), ("google_cloud_run_v2_job", 2)], ids=["service", "job"]
)
def test_cloud_run_takes_addresses_of_its_own_region(network: ResourceProvider, kind: str, levels: int) -> None:
    subnet = {"name": "mlflow", "region": "europe-west4", "network": VPC, "ip_cidr_range": "10.26.0.0/26"}
    made, refused = sent(network, networks.Subnetwork.type, None, subnet)
    assert refused == ""
    interface = {"network": VPC, "subnetwork": made["id"]}
    inner: Any = {"containers": [{"image": "hello"}], "vpc_access": [{"network_interfaces": [interface]}]}
    template = inner if levels == 1 else {"template": [inner]}
    wanted = {"name": "web", "location": "europe-west1", "template": [template]}
    assert "is in europe-west4, and what runs in europe-west1" in sent(network, kind, None, wanted)[1]
    interface["subnetwork"] = "projects/demo-project/regions/europe-west1/subnetworks/none"
    assert "there is no subnet" in sent(network, kind, None, wanted)[1]


def test_an_organization_without_public_addresses_admits_a_network(open_workspace: Open) -> None:
    policy = ("--org-policy", "sql.restrictPublicIp")
    workspace = open_workspace(options=policy, network__vpc=TRACKING, network__subnet=SUBNET)
    assert "at least 1 private services connection" in workspace.apply_fails()


def test_a_deployment_that_exists_moves_into_a_network_and_out_of_it(
    open_workspace: Open, documents: Documents
) -> None:
    workspace = open_workspace()
    workspace.apply()
    inside = documents("dev", network__vpc=TRACKING, network__subnet=SUBNET) / "tracking/cdk.tf.json"

    shutil.copy(inside, workspace.folder)
    make_network(workspace.home, TRACKING, SUBNET)
    result = workspace.terraform("plan", "-input=false", "-no-color", ok=False)
    assert f"The database is not in the network {TRACKING}" in one_line(result.stderr)

    move(workspace.home, "acme-ml-dev:mlflow-db", TRACKING)
    assert_nothing_is_lost(actions(workspace.plan()), addresses.INSTANCE, addresses.SERVICE)
    workspace.apply()
    assert workspace.plans_nothing()

    shutil.copy(documents("dev") / "tracking/cdk.tf.json", workspace.folder)
    assert_nothing_is_lost(actions(workspace.plan()), addresses.INSTANCE, addresses.SERVICE)
    workspace.apply()
    assert workspace.plans_nothing()


def assert_nothing_is_lost(told: dict[str, str], *changed: str) -> None:
    assert {address: told.get(address) for address in changed} == dict.fromkeys(changed, "update")
    version = addresses.version_of(addresses.BACKEND_STORE_URI)
    assert told[version] == "create then delete"
    assert [address for address, action in told.items() if "delete" in action] == [version]
