"""No secret value is anywhere but in the files that stand for Google's own storage."""

from __future__ import annotations

import base64
import stat
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.workspace import Workspace
    from tests.localcloud.conftest import OpenShop


@pytest.fixture
def lived(open_shop: OpenShop) -> Workspace:
    """A workspace that has planned, shown, applied and planned again, each with Terraform's own trace on."""
    workspace = open_shop()
    workspace.environment["TF_LOG"] = "DEBUG"
    workspace.environment["TF_LOG_PATH"] = str(workspace.folder / "terraform.log")
    workspace.plan()
    workspace.terraform("apply", "-input=false", "plan.bin")
    workspace.terraform("show", "-json")
    assert workspace.plans_nothing()
    return workspace


def test_secret_values_are_kept_for_their_owner_alone(lived: Workspace) -> None:
    files = list((lived.home / "secrets").iterdir())
    assert len(files) == 3  # the password, those that backups know it by, and the connection string
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((lived.home / "cloud.db").stat().st_mode) == 0o600


def test_the_password_and_the_connection_string_agree(lived: Workspace) -> None:
    values = [file.read_text() for file in (lived.home / "secrets").iterdir()]
    addresses = [urlsplit(value) for value in values if value.startswith("postgresql://")]
    assert [unquote(address.password or "") in values for address in addresses] == [True]


def test_no_secret_value_is_in_state_plan_document_or_log(lived: Workspace) -> None:
    secrets = dict(_forms(lived))
    for path in _places(lived):
        content = path.read_bytes()
        found = [name for name, form in secrets.items() if form.encode() in content]
        assert found == [], path
    for name, form in secrets.items():
        assert all(form not in output for output in lived.log), name


def test_the_search_finds_a_secret_that_is_there(lived: Workspace) -> None:
    leak = lived.folder / "leak.txt"
    leak.write_text(base64.b64encode(next((lived.home / "secrets").iterdir()).read_bytes()).decode())
    assert leak in _places(lived)
    assert any(form in leak.read_text() for _, form in _forms(lived))


def _forms(workspace: Workspace) -> Iterator[tuple[str, str]]:
    """Every secret value, and what it looks like when it is encoded."""
    values = {file.name[:8]: file.read_text() for file in (workspace.home / "secrets").iterdir()}
    for name, value in values.items():
        yield name, value
        yield f"{name}, base64", base64.b64encode(value.encode()).decode()
        yield f"{name}, base64 for URLs", base64.urlsafe_b64encode(value.encode()).decode()
        yield f"{name}, URL-encoded", quote(value, safe="")


def _places(workspace: Workspace) -> list[Path]:
    """Every file that a run leaves, but for the secret files themselves."""
    files = [path for root in (workspace.folder, workspace.home) for path in root.rglob("*") if path.is_file()]
    places = [path for path in files if path.parent.name != "secrets"]
    assert {"cdk.tf.json", "plan.bin", "terraform.log", "log", "cloud.db"} <= {path.name for path in places}
    assert any(path.suffix == ".tfstate" for path in places)
    return places
