"""Every document is validated, planned, applied, planned again and destroyed by the real terraform."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness.workspace import one_line
from stacks import addresses
from tests.localcloud.changes import actions
from tests.stacks.documents import NAMES

if TYPE_CHECKING:
    from tests.localcloud.conftest import Open


UNPROTECTED = {"database__deletion_protection": "false", "bucket__force_destroy": "true"}


@pytest.mark.parametrize("environment", NAMES)
def test_the_tracking_stack_comes_stays_and_goes(open_workspace: Open, environment: str) -> None:
    workspace = open_workspace(environment, **UNPROTECTED)
    workspace.terraform("validate")
    workspace.apply()
    assert addresses.SERVICE in workspace.addresses()
    assert workspace.plans_nothing()
    workspace.destroy()
    assert workspace.addresses() == []


@pytest.mark.parametrize("environment", NAMES)
def test_the_bootstrap_stack_comes_stays_and_goes(open_workspace: Open, environment: str) -> None:
    workspace = open_workspace(environment, "bootstrap")
    workspace.terraform("validate")
    workspace.apply()
    assert addresses.IMAGES in workspace.addresses()
    assert workspace.plans_nothing()
    workspace.destroy()
    assert workspace.addresses() == []


def test_the_tracking_stack_needs_the_apis_of_the_bootstrap_stack(open_workspace: Open) -> None:
    open_workspace("dev", "bootstrap").apply()
    workspace = open_workspace("dev", "bootstrap")
    document = workspace.document
    enabled = document["resource"]["google_project_service"]["enabled"]
    enabled["disable_on_destroy"] = True
    workspace.document = document
    workspace.apply()
    workspace.destroy()
    message = open_workspace("dev", "tracking").apply_fails()
    for api in ("iam", "secretmanager", "sqladmin"):
        assert f"Enable {api}.googleapis.com first" in message
    assert "Cloud SQL Admin API has not been used in project acme-ml-dev before or it is disabled." in message


def test_a_resource_without_a_local_meaning_is_named(open_workspace: Open) -> None:
    workspace = open_workspace()
    document = workspace.document
    document["resource"]["google_pubsub_topic"] = {"events": {"name": "events"}}
    workspace.document = document
    result = workspace.terraform("validate", "-no-color", ok=False)
    assert "google_pubsub_topic has no meaning in the local cloud" in one_line(result.stderr)
    assert "localcloud/services/__init__.py" in one_line(result.stderr)


def test_the_service_is_asked_from_outside_only_once_it_is_there(open_workspace: Open) -> None:
    told = {"monitoring__emails": '{ ada = "ada@example.com" }', "monitoring__uptime_check": "true"}
    workspace = open_workspace(monitoring__enabled="true", **told)
    workspace.apply()
    made = re.findall(r"create (google_\w+) .* done$", (workspace.home / "log").read_text(), re.MULTILINE)
    assert made.index(addresses.UPTIME_CHECK.type) > made.index(addresses.SERVICE.type)
    assert workspace.plans_nothing()
    document = workspace.document
    check = document["resource"][addresses.UPTIME_CHECK.type][addresses.UPTIME_CHECK.logical_id]
    check["monitored_resource"]["labels"]["host"] = "mlflow.example.com"
    workspace.document = document
    workspace.terraform("taint", addresses.SERVICE)
    planned = actions(workspace.plan())
    # The policy goes first, for Google deletes no check that is watched.
    for replaced in (addresses.SERVICE, f"{addresses.UPTIME_CHECK}[0]", f"{addresses.UPTIME_ALERT}[0]"):
        assert planned[replaced] == "delete then create"
    workspace.apply()
    assert workspace.plans_nothing()
    workspace.destroy()
