"""What Terraform would do, for a reader: the first plan of every variant, and the changes that users fear."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from syrupy.extensions.json import JSONSnapshotExtension

from image.mlflow_cloudrun.permissions import Permissions
from stacks import addresses
from stacks.settings.load import load
from tests.differences import TextSnapshot, differences
from tests.localcloud.changes import actions, reviewable
from tests.localcloud.conftest import opening
from tests.stacks.documents import ENVIRONMENTS, NAMES, STACKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from syrupy.assertion import SnapshotAssertion

    from harness.workspace import Workspace
    from tests.localcloud.conftest import Bootstrapped, Documents, Open

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
BASE, *OTHERS = NAMES
STATEFUL = ("google_sql_database", "google_sql_database_instance", "google_sql_user", "google_storage_bucket")


Plan = dict[str, Any]


@pytest.fixture(scope="module")
def first_plan(
    documents: Documents, bootstrapped: Bootstrapped, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Plan]:
    @cache
    def planned(environment: str, stack: str) -> Plan:
        with opening(tmp_path_factory.mktemp(environment), documents, bootstrapped) as open_workspace:
            return reviewable(open_workspace(environment, stack).plan())

    return planned


@pytest.fixture(scope="module")
def plans(
    documents: Documents, bootstrapped: Bootstrapped, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Plan]:
    """The plan of each change of one system, of which none is applied."""
    found: dict[str, Plan] = {}
    with opening(tmp_path_factory.mktemp("changes"), documents, bootstrapped) as open_workspace:
        workspace = open_workspace()
        workspace.apply()
        for change in CHANGES:
            _change(workspace, documents, change)
            found[change] = workspace.plan()
    return found


@pytest.mark.parametrize("stack", STACKS)
def test_the_first_plan(first_plan: Callable[[str, str], Plan], snapshot: SnapshotAssertion, stack: str) -> None:
    assert first_plan(BASE, stack) == snapshot.use_extension(JSONSnapshotExtension)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("environment", OTHERS)
def test_what_differs_in_the_first_plan(
    first_plan: Callable[[str, str], Plan], snapshot: SnapshotAssertion, environment: str, stack: str
) -> None:
    found = differences(first_plan(BASE, stack), first_plan(environment, stack))
    assert found == snapshot.use_extension(TextSnapshot)


def test_permissions_arrive_as_the_image_reads_them(first_plan: Callable[[str, str], Plan]) -> None:
    wanted = load(ENVIRONMENTS / "maximal.toml", {}).permissions
    found = re.findall(r'env\[PERMISSIONS\]\.value": (".*?[^\\]")', json.dumps(first_plan("maximal", "tracking")))
    assert len(found) >= 2  # of the service, and of the jobs
    for value in found:
        told = Permissions.of({"PERMISSIONS": json.loads(value)})
        teams = {team: frozenset(people) for team, people in wanted.teams.items()}
        assert told == Permissions(wanted.default, frozenset(wanted.admins), frozenset(wanted.readers), teams)


@pytest.mark.parametrize("change", CHANGES)
def test_the_plan_of_a_change(plans: dict[str, Plan], snapshot: SnapshotAssertion, change: str) -> None:
    assert reviewable(plans[change]) == snapshot.use_extension(JSONSnapshotExtension)


@pytest.mark.parametrize("change", ["tier_up", "disk_up"])
def test_a_bigger_database_is_changed_in_place(plans: dict[str, Plan], change: str) -> None:
    assert actions(plans[change])[INSTANCE] == "update"


@pytest.mark.parametrize("change", ["domain_added", "image_changed"])
def test_access_and_image_change_the_service_only(plans: dict[str, Plan], change: str) -> None:
    assert actions(plans[change]) == {SERVICE: "update"}


def test_database_rotation_changes_the_user_one_secret_and_the_service(plans: dict[str, Plan]) -> None:
    assert actions(plans["database_rotation"]) == {
        USER: "update",
        addresses.version_of(addresses.BACKEND_STORE_URI): "create then delete",
        SERVICE: "update",
    }


def test_sign_in_rotation_changes_the_other_secret_and_the_service(plans: dict[str, Plan]) -> None:
    assert actions(plans["sign_in_rotation"]) == {
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
