"""What Google answers is not what it was sent: order, values of its own, names by number, failures that it keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.store import Store

if TYPE_CHECKING:
    from harness.workspace import Workspace
    from tests.localcloud.conftest import OpenShop

SERVICE = "google_cloud_run_v2_service.shop"
NUMBER = ("--project", "acme-shop=123456789012")


def attributes(workspace: Workspace, address: str) -> dict[str, Any]:
    kind, _, label = address.partition(".")
    (found,) = [item for item in workspace.state()["resources"] if (item["type"], item["name"]) == (kind, label)]
    return found["instances"][0]["attributes"]


def test_the_socket_comes_back_last_and_at_its_own_path(open_shop: OpenShop) -> None:
    workspace = open_shop()
    document = workspace.document
    template = document["resource"]["google_cloud_run_v2_service"]["shop"]["template"]
    template["volumes"].reverse()
    mounts = template["containers"][0]["volume_mounts"]
    mounts.reverse()
    mounts[0]["mount_path"] = "/cloudsql-elsewhere"
    workspace.document = document
    workspace.apply()
    (answered,) = attributes(workspace, SERVICE)["template"]
    assert [volume["name"] for volume in answered["volumes"]] == ["url", "cloudsql"]
    assert answered["containers"][0]["volume_mounts"] == [
        {"mount_path": "/secrets", "name": "url"},
        {"mount_path": "/cloudsql", "name": "cloudsql"},
    ]
    assert not workspace.plans_nothing()


def test_a_service_that_does_not_ignore_its_scaling_is_never_as_planned(open_shop: OpenShop) -> None:
    workspace = open_shop()
    document = workspace.document
    ignored = document["resource"]["google_cloud_run_v2_service"]["shop"]["lifecycle"]["ignore_changes"]
    ignored.remove("scaling")
    workspace.document = document
    workspace.apply()
    assert not workspace.plans_nothing()


def test_what_gcloud_notes_on_the_service_is_no_change(shop: Workspace, open_shop: OpenShop) -> None:
    store = Store(shop.home)
    (service,) = store.all("google_cloud_run_v2_service")
    store.put("google_cloud_run_v2_service", str(service["id"]), {**service, "client": "gcloud", "client_version": "1"})
    store.close()
    assert open_shop().plans_nothing()


@pytest.mark.parametrize(
    ("address", "path", "value"),
    [
        (SERVICE, "template.0.containers.0.ports.0.name", "http1"),
        (SERVICE, "traffic.0.percent", 100),
        ("google_artifact_registry_repository.images", "mode", "STANDARD_REPOSITORY"),
        ("google_secret_manager_secret_version.url", "enabled", True),
        ("google_sql_database.shop", "collation", "en_US.UTF8"),
        ("google_sql_database_instance.main", "settings.0.activation_policy", "ALWAYS"),
        ("google_sql_database_instance.main", "settings.0.disk_size", 10),
        ("google_sql_database_instance.main", "settings.0.location_preference.0.zone", "europe-west1-b"),
        ("google_sql_database_instance.main", "ip_address.1.type", "OUTGOING"),
        ("google_storage_bucket.pictures", "location", "EUROPE-WEST1"),
        ("google_storage_bucket.pictures", "terraform_labels.goog-terraform-provisioned", "true"),
        ("google_storage_bucket_iam_member.reads", "bucket", "b/acme-shop-pictures"),
    ],
)
def test_what_nobody_said_has_googles_value(open_shop: OpenShop, address: str, path: str, value: object) -> None:
    workspace = open_shop()
    workspace.apply()
    found: Any = attributes(workspace, address)
    for step in path.split("."):
        found = found[int(step)] if step.isdecimal() else found[step]
    assert found == value


def test_a_plan_shows_the_providers_defaults_and_not_googles_values(open_shop: OpenShop) -> None:
    changes = {change["address"]: change["change"] for change in open_shop().plan()["resource_changes"]}
    instance = changes["google_sql_database_instance.main"]
    assert instance["after"]["settings"][0]["pricing_plan"] == "PER_USE"
    assert instance["after_unknown"]["settings"][0]["disk_size"] is True
    assert instance["after_unknown"]["settings"][0]["location_preference"] is True
    account = changes["google_service_account.shop"]["after"]
    assert account["member"] == "serviceAccount:shop-server@acme-shop.iam.gserviceaccount.com"


def test_secrets_are_named_by_the_projects_number(open_shop: OpenShop) -> None:
    workspace = open_shop(*NUMBER)
    workspace.apply()
    name = "projects/123456789012/secrets/database-url"
    assert attributes(workspace, "google_secret_manager_secret.url")["name"] == name
    version = attributes(workspace, "google_secret_manager_secret_version.url")
    assert version["id"] == version["name"] == f"{name}/versions/1"


@pytest.mark.parametrize(("project", "holds"), [("123456789012", True), ("acme-shop", False)])
def test_a_condition_on_a_secret_sees_the_number(open_shop: OpenShop, project: str, holds: bool) -> None:  # noqa: FBT001
    workspace = open_shop(*NUMBER)
    document = workspace.document
    expression = f"resource.name == 'projects/{project}/secrets/database-url'"
    member = document["resource"]["google_secret_manager_secret_iam_member"]["reads"]
    member["condition"] = {"title": "only-this", "expression": expression}
    workspace.document = document
    if holds:
        workspace.apply()
    else:
        assert "Permission denied on secret" in workspace.apply_fails()


def test_a_revision_that_does_not_start_stays_the_template(shop: Workspace) -> None:
    served = attributes(shop, SERVICE)["latest_ready_revision"]
    _break(shop)
    message = shop.apply_fails()
    assert "Revision 'shop-00002-" in message
    assert "not found" in message
    assert shop.plans_nothing(), "Google has the new template, and so has the state"
    shop.terraform("apply", "-refresh-only", "-auto-approve", "-input=false")
    service = attributes(shop, SERVICE)
    assert service["latest_ready_revision"] == served
    assert "/shop-00002-" in service["latest_created_revision"]
    assert service["terminal_condition"][0]["state"] == "CONDITION_FAILED"


def test_a_service_whose_first_revision_does_not_start_is_there_and_replaced(open_shop: OpenShop) -> None:
    workspace = open_shop()
    whole = workspace.document
    _break(workspace)
    workspace.apply_fails()
    assert SERVICE in workspace.addresses()
    workspace.document = whole
    (change,) = [one for one in workspace.plan()["resource_changes"] if one["address"] == SERVICE]
    assert change["change"]["actions"] == ["delete", "create"]
    workspace.apply()
    assert workspace.plans_nothing()


def test_an_abandoned_database_is_still_there_and_can_be_imported(open_shop: OpenShop) -> None:
    workspace = open_shop()
    whole = workspace.document
    workspace.apply()
    kept = json.loads(json.dumps(whole))
    for gone in (
        "google_sql_database",
        "google_sql_user",
        "google_secret_manager_secret_version",
        "google_cloud_run_v2_service",
    ):
        del kept["resource"][gone]
    workspace.document = kept
    workspace.apply()
    workspace.document = whole
    assert 'pq: database "shop" already exists' in workspace.apply_fails()
    name = "projects/acme-shop/instances/shop-db/databases/shop"
    workspace.terraform("import", "-input=false", "google_sql_database.shop", name)
    whole["resource"]["google_sql_user"]["shop"]["password_wo_version"] = 2
    whole["resource"]["google_secret_manager_secret_version"]["url"]["secret_data_wo_version"] = 2
    workspace.document = whole
    workspace.apply()
    assert workspace.plans_nothing()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"backup_configuration": {"backup_retention_settings": {"retained_backups": 3}}},
            "Invalid request: backup retention should be > transaction log retention.",
        ),
        (
            {
                "edition": "ENTERPRISE_PLUS",
                "backup_configuration": {"backup_retention_settings": {"retained_backups": 7}},
                "tier": "db-perf-optimized-N-2",
            },
            "Invalid request: backup retention should be > transaction log retention.",
        ),
        ({"edition": "ENTERPRISE_PLUS"}, "Invalid Tier (db-custom-1-3840) for (ENTERPRISE_PLUS) Edition."),
        (
            {"backup_configuration": {"transaction_log_retention_days": 14}},
            "The number of transaction log retention days must be between 1 and 7.",
        ),
    ],
)
def test_google_refuses_an_instance_in_its_own_words(
    open_shop: OpenShop, settings: dict[str, Any], message: str
) -> None:
    workspace = open_shop()
    document = workspace.document
    written = document["resource"]["google_sql_database_instance"]["main"]["settings"]
    backups = {**written["backup_configuration"], "transaction_log_retention_days": None}
    written |= settings | {"backup_configuration": backups | settings.get("backup_configuration", {})}
    workspace.document = json.loads(json.dumps(document))
    assert message in workspace.apply_fails()


@pytest.mark.parametrize(
    ("version", "edition", "tier"),
    [("MYSQL_8_4", "ENTERPRISE_PLUS", "db-perf-optimized-N-2"), ("MYSQL_8_0", "ENTERPRISE", "db-g1-small")],
)
def test_the_edition_follows_from_the_version(open_shop: OpenShop, version: str, edition: str, tier: str) -> None:
    workspace = open_shop()
    document = workspace.document
    instance = document["resource"]["google_sql_database_instance"]["main"]
    instance["database_version"] = version
    instance["settings"] |= {"edition": None, "tier": tier, "backup_configuration": {"enabled": True}}
    workspace.document = document
    workspace.terraform("apply", "-auto-approve", "-input=false", "-target=google_sql_database_instance.main")
    assert attributes(workspace, "google_sql_database_instance.main")["settings"][0]["edition"] == edition


def test_mysql_with_a_standby_needs_the_binary_log(open_shop: OpenShop) -> None:
    workspace = open_shop()
    document = workspace.document
    instance = document["resource"]["google_sql_database_instance"]["main"]
    instance["database_version"] = "MYSQL_8_0"
    settings = instance["settings"]
    settings["availability_type"] = "REGIONAL"
    settings["backup_configuration"] = {"enabled": True, "binary_log_enabled": False}
    workspace.document = document
    assert "MySQL HA non-replica instances need to have binary logging enabled" in workspace.apply_fails()


def _break(workspace: Workspace) -> None:
    """Names an image of a repository that is not there."""
    document = workspace.document
    (container,) = document["resource"]["google_cloud_run_v2_service"]["shop"]["template"]["containers"]
    container["image"] = container["image"].replace("/images/", "/no-such-repository/")
    workspace.document = document
