"""What Terraform would do, for a reader: the first plan of every variant, and the changes that users fear."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from syrupy.extensions.json import JSONSnapshotExtension

from stacks import addresses
from tests.localcloud.changes import actions, reviewable
from tests.stacks.documents import NAMES, STACKS

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from harness.workspace import Workspace
    from tests.localcloud.conftest import Documents, Open

SERVICE = addresses.SERVICE
INSTANCE = addresses.INSTANCE
USER = addresses.DATABASE_USER
# What a user changes on a running system, each in one line of the settings file.
CHANGES = {
    "tier_up": {"database__tier": "db-custom-2-7680"},
    "disk_up": {"database__disk_gb": "200"},
    "domain_added": {"access__email_domains": '["example.com", "example.org"]'},
    "image_changed": {"service__image": "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow:1.1.0"},
    "database_rotation": {"database__rotation": "2"},
    "sign_in_rotation": {"access__sign_in_rotation": "2"},
}
STATEFUL = ("google_sql_database", "google_sql_database_instance", "google_sql_user", "google_storage_bucket")


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(JSONSnapshotExtension)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("environment", NAMES)
def test_the_first_plan(open_workspace: Open, snapshot: SnapshotAssertion, environment: str, stack: str) -> None:
    assert reviewable(open_workspace(environment, stack).plan()) == snapshot


@pytest.mark.parametrize("change", CHANGES)
def test_the_plan_of_a_change(
    open_workspace: Open, documents: Documents, snapshot: SnapshotAssertion, change: str
) -> None:
    assert reviewable(_plan_of(open_workspace, documents, change)) == snapshot


@pytest.mark.parametrize("change", ["tier_up", "disk_up"])
def test_a_bigger_database_is_changed_in_place(open_workspace: Open, documents: Documents, change: str) -> None:
    assert actions(_plan_of(open_workspace, documents, change))[INSTANCE] == "update"


@pytest.mark.parametrize("change", ["domain_added", "image_changed"])
def test_access_and_image_change_the_service_only(open_workspace: Open, documents: Documents, change: str) -> None:
    assert actions(_plan_of(open_workspace, documents, change)) == {SERVICE: "update"}


def test_database_rotation_changes_the_user_one_secret_and_the_service(
    open_workspace: Open, documents: Documents
) -> None:
    assert actions(_plan_of(open_workspace, documents, "database_rotation")) == {
        USER: "update",
        addresses.version_of(addresses.BACKEND_STORE_URI): "create then delete",
        SERVICE: "update",
    }


def test_sign_in_rotation_changes_the_other_secret_and_the_service(open_workspace: Open, documents: Documents) -> None:
    assert actions(_plan_of(open_workspace, documents, "sign_in_rotation")) == {
        addresses.version_of(addresses.OAUTH2_PROXY): "create then delete",
        SERVICE: "update",
    }


def test_a_rotation_is_one_new_revision_and_keeps_the_old_version_disabled(
    open_workspace: Open, documents: Documents
) -> None:
    workspace = open_workspace()
    workspace.apply()
    _change(workspace, documents, "database_rotation")
    workspace.apply()
    revision = _attribute(workspace, SERVICE, "latest_ready_revision")
    assert "-00002-" in revision
    assert _attribute(workspace, addresses.version_of(addresses.BACKEND_STORE_URI), "version") == "2"
    assert workspace.plans_nothing()


def test_prod_to_dev_destroys_nothing_stateful(open_workspace: Open, documents: Documents) -> None:
    workspace = open_workspace("prod")
    workspace.apply()
    shutil.copytree(documents("prod", profile="dev") / "tracking", workspace.folder, dirs_exist_ok=True)
    _assert_keeps_data(workspace)


def _plan_of(open_workspace: Open, documents: Documents, change: str) -> dict[str, object]:
    workspace = open_workspace()
    workspace.apply()
    _change(workspace, documents, change)
    return workspace.plan()


def _change(workspace: Workspace, documents: Documents, change: str, environment: str = "dev") -> None:
    shutil.copytree(documents(environment, **CHANGES[change]) / "tracking", workspace.folder, dirs_exist_ok=True)


def _assert_keeps_data(workspace: Workspace) -> None:
    workspace.init()
    changed = actions(workspace.plan())
    lost = {
        address: action
        for address, action in changed.items()
        if address.split(".")[0] in STATEFUL and "delete" in action
    }
    assert lost == {}
    workspace.apply()
    assert workspace.plans_nothing()


def _attribute(workspace: Workspace, address: str, name: str) -> str:
    kind, _, label = address.partition(".")
    found = [item for item in workspace.state()["resources"] if (item["type"], item["name"]) == (kind, label)]
    return found[0]["instances"][0]["attributes"][name]
