"""Who deployed the stack can go on with the module: `moved` blocks take all along, and nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.settings.load import load
from tests.module.clouds import copy_of_module
from tests.stacks.documents import ENVIRONMENTS

if TYPE_CHECKING:
    from harness.workspace import Workspace


def test_a_deployment_becomes_a_module_without_a_change(applied: Workspace) -> None:
    copy_of_module(applied.folder)
    settings = load(ENVIRONMENTS / "dev.toml", {}).model_dump()
    project, _ = settings.pop("project"), settings.pop("state")
    del settings["iap"]  # a module of its own has it
    stack = applied.document
    addresses = [f"{kind}.{name}" for kind, named in stack["resource"].items() for name in named]
    applied.document = {
        "terraform": {"backend": stack["terraform"]["backend"]},
        "provider": {"google": stack["provider"]["google"]},
        "variable": {"oauth_client_secret": {"type": "string", "ephemeral": True}},
        "module": {
            "mlflow": {
                "source": "./module",
                "project_id": project["id"],
                "project_number": project["number"],
                "oauth_client_secret": "${var.oauth_client_secret}",
                **settings,
            }
        },
        "moved": [{"from": address, "to": f"module.mlflow.{address}"} for address in addresses],
    }
    applied.init()
    changes = applied.plan()["resource_changes"]
    assert {change["address"] for change in changes} == {
        f"module.mlflow.{change['previous_address']}" for change in changes
    }
    assert {tuple(change["change"]["actions"]) for change in changes} == {("no-op",)}
