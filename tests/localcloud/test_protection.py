"""What would lose data is refused before anything is gone, and there is a way back."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from harness.workspace import one_line
from localcloud.store import Store
from stacks import addresses
from tests.localcloud.changes import actions
from tests.stacks.documents import resources

if TYPE_CHECKING:
    from harness.workspace import Workspace
    from tests.localcloud.conftest import Documents, Open

DATABASE = addresses.DATABASE
DATABASE_ID = "projects/acme-ml-prod/instances/mlflow-db/databases/mlflow"
PROTECTIONS = {"database__deletion_protection": "true", "bucket__force_destroy": "false"}
UNPROTECTED = {"database__deletion_protection": "false", "bucket__force_destroy": "true"}


def there(workspace: Workspace) -> list[tuple[str, str]]:
    store = Store(workspace.home)
    found = [(kind, key) for kind, key in store.listing() if kind.startswith("google_")]
    store.close()
    return found


def destroy_fails(workspace: Workspace) -> str:
    result = workspace.terraform("destroy", "-auto-approve", "-input=false", "-no-color", ok=False)
    assert result.returncode == 1, result.stdout
    return one_line(result.stderr)


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_a_destroy_with_a_protection_on_destroys_nothing(open_workspace: Open, protection: str) -> None:
    workspace = open_workspace(**UNPROTECTED | {protection: PROTECTIONS[protection]})
    workspace.apply()
    before, addresses = there(workspace), workspace.addresses()
    message = destroy_fails(workspace)
    assert "Nothing was destroyed: the data are protected." in message
    assert "database.deletion_protection = false and bucket.force_destroy = true" in message
    assert there(workspace) == before
    assert workspace.addresses() == addresses


def test_the_guard_goes_before_everything_else(open_workspace: Open) -> None:
    workspace = open_workspace()
    workspace.apply()
    (guard,) = [one for one in workspace.state()["resources"] if one["name"] == "guard"]
    everything = set(resources("dev")) - {addresses.DESTROY_GUARD, addresses.PUBLIC_INVOKER}
    assert everything <= {*guard["instances"][0]["dependencies"], addresses.ARTIFACT_WRITERS}


def test_what_was_unprotected_but_not_applied_is_still_protected(open_workspace: Open, documents: Documents) -> None:
    workspace = open_workspace("prod")
    workspace.apply()
    _become(workspace, documents, "prod", **UNPROTECTED)
    assert "Nothing was destroyed" in destroy_fails(workspace)
    workspace.apply()
    workspace.destroy()
    assert workspace.addresses() == []


def test_half_a_destroy_is_undone(open_workspace: Open, documents: Documents) -> None:
    """As without the guard: what is unprotected is gone, and the database was left to its instance."""
    workspace = open_workspace("prod")
    workspace.apply()
    workspace.terraform("state", "rm", addresses.DESTROY_GUARD)
    assert "failed to delete instance because deletion_protection is set to true" in destroy_fails(workspace)
    assert addresses.SERVICE not in workspace.addresses()

    _become(workspace, documents, "prod", database__rotation="2")
    workspace.init()
    workspace.terraform("import", "-input=false", DATABASE, DATABASE_ID)
    workspace.apply()
    assert workspace.plans_nothing()


@pytest.mark.parametrize(
    ("environment", "change"),
    [("dev", {"region": "europe-west9"}), ("prod", {"region": "us-central1"}), ("dev", {"database__engine": "mysql"})],
)
def test_another_region_or_engine_is_refused_at_plan(
    open_workspace: Open, documents: Documents, environment: str, change: dict[str, str]
) -> None:
    workspace = open_workspace(environment)
    workspace.apply()
    before = there(workspace)
    _become(workspace, documents, environment, **change)
    workspace.init()
    plan = workspace.terraform("plan", "-input=false", "-no-color", ok=False)
    assert plan.returncode == 1
    assert "another region or engine is another deployment, with data of its own" in one_line(plan.stderr)
    workspace.apply_fails()
    assert there(workspace) == before


def test_a_smaller_disk_is_refused_by_google_and_nothing_is_gone(open_workspace: Open, documents: Documents) -> None:
    workspace = open_workspace(database__disk_gb="200")
    workspace.apply()
    before = there(workspace)
    _become(workspace, documents, "dev", database__disk_gb="100")
    assert "delete" in actions(workspace.plan())[addresses.INSTANCE]
    assert "The Cloud SQL instance already exists., instanceAlreadyExists" in workspace.apply_fails()
    assert there(workspace) == before


def test_a_failed_rollout_is_told_at_the_next_plan(open_workspace: Open, documents: Documents) -> None:
    workspace = open_workspace()
    workspace.apply()
    image = "europe-west1-docker.pkg.dev/acme-ml-dev/no-such-repository/mlflow:1.0.0"
    _become(workspace, documents, "dev", service__image=image)
    workspace.apply_fails()
    plan = workspace.terraform("plan", "-detailed-exitcode", "-input=false", "-no-color")
    said = one_line(plan.stdout)
    assert "mlflow-00002-" in said
    assert "did not start, and mlflow-00001-" in said
    assert (
        "gcloud run services update mlflow --region=europe-west1 --project=acme-ml-dev --update-labels=retry=1" in said
    )


def _become(workspace: Workspace, documents: Documents, environment: str, **overrides: str) -> None:
    shutil.copytree(documents(environment, **overrides) / "tracking", workspace.folder, dirs_exist_ok=True)
