"""What Google answers is not what it was sent: order, values of its own, names by number, failures that it keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.store import Store
from stacks import addresses

if TYPE_CHECKING:
    from harness.workspace import Workspace
    from tests.localcloud.conftest import Open

SERVICE = addresses.SERVICE
NUMBER = ("--project", "acme-ml-dev=123456789012")


def attributes(workspace: Workspace, address: str) -> dict[str, Any]:
    kind, _, label = address.partition(".")
    (found,) = [item for item in workspace.state()["resources"] if (item["type"], item["name"]) == (kind, label)]
    return found["instances"][0]["attributes"]


def test_the_socket_comes_back_last_and_at_its_own_path(open_workspace: Open) -> None:
    workspace = open_workspace()
    document = workspace.document
    template = document["resource"]["google_cloud_run_v2_service"]["tracking"]["template"]
    template["volumes"].reverse()
    mounts = template["containers"][0]["volume_mounts"]
    mounts.reverse()
    mounts[0]["mount_path"] = "/cloudsql-elsewhere"
    workspace.document = document
    workspace.apply()
    (answered,) = attributes(workspace, SERVICE)["template"]
    assert [volume["name"] for volume in answered["volumes"]] == ["oauth2-proxy", "cloudsql"]
    assert answered["containers"][0]["volume_mounts"] == [
        {"mount_path": "/secrets/oauth2-proxy", "name": "oauth2-proxy"},
        {"mount_path": "/cloudsql", "name": "cloudsql"},
    ]
    assert not workspace.plans_nothing()


def test_a_service_that_does_not_ignore_its_scaling_is_never_as_planned(open_workspace: Open) -> None:
    workspace = open_workspace()
    document = workspace.document
    ignored = document["resource"]["google_cloud_run_v2_service"]["tracking"]["lifecycle"]["ignore_changes"]
    ignored.remove("scaling")
    workspace.document = document
    workspace.apply()
    assert not workspace.plans_nothing()


def test_what_gcloud_notes_on_the_service_is_no_change(applied: Workspace, open_workspace: Open) -> None:
    store = Store(applied.home)
    (service,) = store.all("google_cloud_run_v2_service")
    store.put("google_cloud_run_v2_service", str(service["id"]), {**service, "client": "gcloud", "client_version": "1"})
    store.close()
    assert open_workspace().plans_nothing()


@pytest.mark.parametrize(
    ("address", "path", "value"),
    [
        (SERVICE, "template.0.containers.0.ports.0.name", "http1"),
        (SERVICE, "traffic.0.percent", 100),
        (addresses.IMAGES, "mode", "STANDARD_REPOSITORY"),
        (addresses.version_of(addresses.OAUTH2_PROXY), "enabled", True),
        (addresses.DATABASE, "collation", "en_US.UTF8"),
        (addresses.INSTANCE, "settings.0.activation_policy", "ALWAYS"),
        (addresses.INSTANCE, "settings.0.disk_size", 10),
        (addresses.INSTANCE, "settings.0.location_preference.0.zone", "europe-west1-b"),
        (addresses.INSTANCE, "ip_address.1.type", "OUTGOING"),
        (addresses.BUCKET, "location", "EUROPE-WEST1"),
        (addresses.BUCKET, "terraform_labels.goog-terraform-provisioned", "true"),
        (addresses.ARTIFACT_VIEWER, "bucket", "b/acme-ml-dev-mlflow-artifacts"),
    ],
)
def test_what_nobody_said_has_googles_value(open_workspace: Open, address: str, path: str, value: object) -> None:
    workspace = open_workspace(stack="bootstrap" if "artifact" in address.partition(".")[0] else "tracking")
    workspace.apply()
    found: Any = attributes(workspace, address)
    for step in path.split("."):
        found = found[int(step)] if step.isdecimal() else found[step]
    assert found == value


def test_a_plan_shows_the_providers_defaults_and_not_googles_values(open_workspace: Open) -> None:
    changes = {change["address"]: change["change"] for change in open_workspace().plan()["resource_changes"]}
    instance = changes[addresses.INSTANCE]
    assert instance["after"]["settings"][0]["pricing_plan"] == "PER_USE"
    assert instance["after_unknown"]["settings"][0]["disk_size"] is True
    assert instance["after_unknown"]["settings"][0]["location_preference"] is True
    account = changes[addresses.ACCOUNT]["after"]
    assert account["member"] == "serviceAccount:mlflow-server@acme-ml-dev.iam.gserviceaccount.com"


def test_secrets_are_named_by_the_projects_number(open_workspace: Open) -> None:
    workspace = open_workspace(options=NUMBER)
    workspace.apply()
    name = "projects/123456789012/secrets/mlflow-oauth2-proxy"
    assert attributes(workspace, addresses.OAUTH2_PROXY)["name"] == name
    version = attributes(workspace, addresses.version_of(addresses.OAUTH2_PROXY))
    assert version["id"] == version["name"] == f"{name}/versions/1"


@pytest.mark.parametrize(("project", "holds"), [("123456789012", True), ("acme-ml-dev", False)])
def test_a_condition_on_a_secret_sees_the_number(open_workspace: Open, project: str, holds: bool) -> None:  # noqa: FBT001
    workspace = open_workspace(options=NUMBER)
    document = workspace.document
    expression = f"resource.name == 'projects/{project}/secrets/mlflow-oauth2-proxy'"
    member = document["resource"]["google_secret_manager_secret_iam_member"]["oauth2_proxy"]
    member["condition"] = {"title": "only-this", "expression": expression}
    workspace.document = document
    if holds:
        workspace.apply()
    else:
        assert "Permission denied on secret" in workspace.apply_fails()


def test_a_revision_that_does_not_start_stays_the_template(applied: Workspace) -> None:
    served = attributes(applied, SERVICE)["latest_ready_revision"]
    _break(applied)
    message = applied.apply_fails()
    assert "Revision 'mlflow-00002-" in message
    assert "not found" in message
    assert applied.plans_nothing(), "Google has the new template, and so has the state"
    applied.terraform("apply", "-refresh-only", "-auto-approve", "-input=false")
    service = attributes(applied, SERVICE)
    assert service["latest_ready_revision"] == served
    assert "/mlflow-00002-" in service["latest_created_revision"]
    assert service["terminal_condition"][0]["state"] == "CONDITION_FAILED"


def test_a_service_whose_first_revision_does_not_start_is_there_and_replaced(open_workspace: Open) -> None:
    workspace = open_workspace()
    whole = workspace.document
    _break(workspace)
    workspace.apply_fails()
    assert SERVICE in workspace.addresses()
    workspace.document = whole
    (change,) = [one for one in workspace.plan()["resource_changes"] if one["address"] == SERVICE]
    assert change["change"]["actions"] == ["delete", "create"]
    workspace.apply()
    assert workspace.plans_nothing()


def test_an_abandoned_database_is_still_there_and_can_be_imported(open_workspace: Open) -> None:
    workspace = open_workspace()
    whole = workspace.document
    workspace.apply()
    kept = json.loads(json.dumps(whole))
    del kept["resource"]["google_secret_manager_secret_version"]["backend_store_uri"]
    for gone in ("google_sql_database", "google_cloud_run_v2_service", "google_cloud_run_v2_service_iam_member"):
        del kept["resource"][gone]
    del kept["check"], kept["output"], kept["resource"]["terraform_data"]["guard"]
    workspace.document = kept
    workspace.apply()
    workspace.document = whole
    assert 'pq: database "mlflow" already exists' in workspace.apply_fails()
    name = "projects/acme-ml-dev/instances/mlflow-db/databases/mlflow"
    workspace.terraform("import", "-input=false", addresses.DATABASE, name)
    whole["resource"]["google_sql_user"]["mlflow"]["password_wo_version"] = 2
    whole["resource"]["google_secret_manager_secret_version"]["backend_store_uri"]["secret_data_wo_version"] = 2
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
    open_workspace: Open, settings: dict[str, Any], message: str
) -> None:
    workspace = open_workspace(database__point_in_time_recovery="true")
    document = workspace.document
    written = document["resource"]["google_sql_database_instance"]["tracking"]["settings"]
    backups = {**written["backup_configuration"], "transaction_log_retention_days": None}
    written |= settings | {"backup_configuration": backups | settings.get("backup_configuration", {})}
    workspace.document = json.loads(json.dumps(document))
    assert message in workspace.apply_fails()


@pytest.mark.parametrize(
    ("version", "edition", "tier"),
    [("MYSQL_8_4", "ENTERPRISE_PLUS", "db-perf-optimized-N-2"), ("MYSQL_8_0", "ENTERPRISE", "db-g1-small")],
)
def test_the_edition_follows_from_the_version(open_workspace: Open, version: str, edition: str, tier: str) -> None:
    workspace = open_workspace("mysql")
    document = workspace.document
    instance = document["resource"]["google_sql_database_instance"]["tracking"]
    instance["database_version"] = version
    instance["settings"] |= {"edition": None, "tier": tier, "backup_configuration": {"enabled": True}}
    workspace.document = document
    workspace.terraform("apply", "-auto-approve", "-input=false", "-target=google_sql_database_instance.tracking")
    assert attributes(workspace, addresses.INSTANCE)["settings"][0]["edition"] == edition


def test_mysql_with_a_standby_needs_the_binary_log(open_workspace: Open) -> None:
    workspace = open_workspace("mysql")
    document = workspace.document
    settings = document["resource"]["google_sql_database_instance"]["tracking"]["settings"]
    settings["availability_type"] = "REGIONAL"
    settings["backup_configuration"]["binary_log_enabled"] = False
    workspace.document = document
    assert "MySQL HA non-replica instances need to have binary logging enabled" in workspace.apply_fails()


def _break(workspace: Workspace) -> None:
    """Names an image of a repository that is not there."""
    document = workspace.document
    (container,) = document["resource"]["google_cloud_run_v2_service"]["tracking"]["template"]["containers"]
    container["image"] = container["image"].replace("/mlflow/", "/no-such-repository/")
    workspace.document = document
