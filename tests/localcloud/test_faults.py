"""One operation fails, in turn and in every way; the next apply arrives at the state of an undisturbed one.

There is one place where it cannot: the user's password was written and the connection string was not. Ephemeral values
differ at each apply, so the two no longer agree. That is detected, told, and healed by a higher rotation number.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from harness.workspace import one_line

if TYPE_CHECKING:
    from harness.workspace import Workspace
    from tests.localcloud.conftest import Documents, Open

USER = "google_sql_user acme-ml-dev:mlflow//mlflow-db"
BACKEND = "google_secret_manager_secret_version projects/acme-ml-dev/secrets/mlflow-backend-store-uri/versions"
EMAIL = "mlflow-server@acme-ml-dev.iam.gserviceaccount.com"
ACCOUNT = f"serviceAccount:{EMAIL}"
CONDITION = (
    "only-the-tracking-instance//resource.name == 'projects/acme-ml-dev/instances/mlflow-db'"
    " && resource.service == 'sqladmin.googleapis.com'"
)
SERVICE = "projects/acme-ml-dev/locations/europe-west1/services/mlflow"
CREATIONS = [
    f"create {BACKEND}/new",
    f"create {USER}",
    f"create google_cloud_run_v2_service {SERVICE}",
    f"create google_project_iam_member acme-ml-dev/roles/cloudsql.client/{ACCOUNT}/{CONDITION}",
    "create google_secret_manager_secret projects/acme-ml-dev/secrets/mlflow-backend-store-uri",
    "create google_secret_manager_secret projects/acme-ml-dev/secrets/mlflow-encryption-key",
    "create google_secret_manager_secret projects/acme-ml-dev/secrets/mlflow-oauth2-proxy",
    *(
        f"create google_secret_manager_secret_iam_member projects/acme-ml-dev/secrets/mlflow-{secret}"
        f"/roles/secretmanager.secretAccessor/{ACCOUNT}"
        for secret in ("backend-store-uri", "encryption-key", "oauth2-proxy")
    ),
    "create google_secret_manager_secret_version projects/acme-ml-dev/secrets/mlflow-encryption-key/versions/new",
    "create google_secret_manager_secret_version projects/acme-ml-dev/secrets/mlflow-oauth2-proxy/versions/new",
    f"create google_service_account projects/acme-ml-dev/serviceAccounts/{EMAIL}",
    "create google_sql_database projects/acme-ml-dev/instances/mlflow-db/databases/mlflow",
    "create google_sql_database_instance acme-ml-dev:mlflow-db",
    "create google_storage_bucket acme-ml-dev-mlflow-artifacts",
    f"create google_storage_bucket_iam_member b/acme-ml-dev-mlflow-artifacts/roles/storage.objectViewer/{ACCOUNT}",
]
ROTATION = [
    f"update {USER}",
    f"create {BACKEND}/new",
    f"update google_cloud_run_v2_service {SERVICE}",
    f"delete {BACKEND}/1",
]
# Without these the connection string is not written, and the password may have been.
BETWEEN = {
    f"create {BACKEND}/new",
    "create google_secret_manager_secret projects/acme-ml-dev/secrets/mlflow-backend-store-uri",
    "create google_sql_database projects/acme-ml-dev/instances/mlflow-db/databases/mlflow",
}
NO_WAITING = ("--quiet", "0")
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Any]:
    """What the cloud and the state hold after an apply, and after a rotation, that nothing disturbed."""
    return {}


def test_the_faults_are_at_every_operation(open_workspace: Open, documents: Documents) -> None:
    workspace = open_workspace(options=NO_WAITING)
    workspace.apply()
    assert sorted(_operations(workspace)) == sorted(CREATIONS)
    done = len(_operations(workspace))
    _rotate(workspace, documents, 2)
    workspace.apply()
    assert sorted(_operations(workspace)[done:]) == sorted(ROTATION)


class _Faults:
    """Each fault of one kind."""

    kind: str

    def test_the_next_apply_heals_a_creation(
        self, open_workspace: Open, documents: Documents, undisturbed: dict[str, Any], operation: str
    ) -> None:
        if "creation" not in undisturbed:
            undisturbed["creation"] = _everything(_applied(open_workspace))
            _forget(open_workspace)
        self._break(open_workspace, operation)
        self._heal(open_workspace(options=NO_WAITING), documents, undisturbed["creation"], operation)

    def test_the_next_apply_heals_a_rotation(
        self, open_workspace: Open, documents: Documents, undisturbed: dict[str, Any], operation: str
    ) -> None:
        workspace = _applied(open_workspace)
        _rotate(workspace, documents, 2)
        if "rotation" not in undisturbed:
            workspace.apply()
            undisturbed["rotation"] = _everything(workspace)
            _forget(open_workspace)
            _rotate(_applied(open_workspace), documents, 2)
        self._break(open_workspace, operation)
        self._heal(open_workspace(options=NO_WAITING), documents, undisturbed["rotation"], operation)

    def _break(self, open_workspace: Open, operation: str) -> None:
        workspace = open_workspace(options=(*NO_WAITING, "--fault", f"{self.kind}:{operation}"))
        message = workspace.apply_fails("-parallelism=1")
        assert ("Plugin did not respond" if self.kind == "kill" else operation) in message

    def _heal(self, workspace: Workspace, documents: Documents, undisturbed: dict[str, Any], operation: str) -> None:
        result = workspace.terraform("apply", "-auto-approve", "-no-color", ok=False)
        if result.returncode == 0:
            assert _everything(workspace) == undisturbed
            return
        assert operation in BETWEEN or self.kind == "kill"  # then nothing after the operation was done either
        message = one_line(result.stderr)
        assert 'password authentication failed for user "mlflow"' in message
        assert "Raise the versions of both write-only arguments" in message
        _rotate(workspace, documents, 3)
        workspace.apply()
        assert workspace.plans_nothing()
        assert _everything(workspace)["state"].keys() == undisturbed["state"].keys()


class TestRefused(_Faults):
    """The operation was refused, and nothing was done."""

    kind = "error-before"


class TestAnswerLost(_Faults):
    """The operation was done, and Terraform was told that it failed."""

    kind = "error-after"


class TestProviderDied(_Faults):
    """The operation was done, and the provider died before it could say so."""

    kind = "kill"


KINDS = (TestRefused, TestAnswerLost, TestProviderDied)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One kind of fault at each operation in every run, all kinds in rehearsals."""
    if "operation" not in metafunc.fixturenames:
        return
    operations = CREATIONS if metafunc.function.__name__.endswith("creation") else ROTATION
    turn = KINDS.index(metafunc.cls)
    metafunc.parametrize(
        "operation",
        [
            pytest.param(one, marks=() if number % len(KINDS) == turn else pytest.mark.rehearsal)
            for number, one in enumerate(operations)
        ],
    )


def _applied(open_workspace: Open) -> Workspace:
    workspace = open_workspace(options=NO_WAITING)
    workspace.apply()
    return workspace


def _forget(open_workspace: Open) -> None:
    """Makes the next workspace a new one."""
    workspace = open_workspace()
    for folder in (workspace.home, workspace.folder):
        shutil.rmtree(folder)


def _rotate(workspace: Workspace, documents: Documents, number: int) -> None:
    shutil.copytree(documents("dev", database__rotation=str(number)) / "tracking", workspace.folder, dirs_exist_ok=True)


def _operations(workspace: Workspace) -> list[str]:
    """What was done to the tracking stack, from the log."""
    done = re.findall(r"^\S+ \S+ (.+) done$", (workspace.home / "log").read_text(), re.MULTILINE)
    return [operation for operation in done if not re.search("project_service|artifact_registry", operation)]


def _everything(workspace: Workspace) -> dict[str, Any]:
    """All that the cloud and the state hold, without times and Terraform's own random ids."""
    with sqlite3.connect(workspace.home / "cloud.db") as database:
        rows = database.execute("SELECT type, key, body FROM object WHERE type != 'resource.since'").fetchall()
    resources = {f"{item['type']}.{item['name']}": item["instances"] for item in workspace.state()["resources"]}
    state = {name: [instance["attributes"] for instance in found] for name, found in resources.items()}
    for attributes in (one for name, found in state.items() if name.startswith("terraform_data.") for one in found):
        del attributes["id"]
    told = {
        "objects": {f"{kind} {key}": json.loads(body) for kind, key, body in rows},
        "secrets": sorted(path.name for path in (workspace.home / "secrets").iterdir()),
        "state": state,
    }
    return json.loads(TIME.sub("TIME", json.dumps(told)))
