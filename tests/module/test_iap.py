"""From one gate to the other and back: what holds data stays, and only what belongs to a gate comes and goes."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from stacks import addresses, versions
from stacks.settings.iap_rules import IAP_RULES
from stacks.variables.declarations import OF_OAUTH2_PROXY, iap_variables
from tests.localcloud.changes import actions
from tests.module.clouds import MODULE, copy_of_module, opened

if TYPE_CHECKING:
    from pathlib import Path

AGENT = "service-123456789012@gcp-sa-iap.iam.gserviceaccount.com"
OF_PROXY = {
    addresses.OAUTH2_PROXY,
    addresses.accessor_of(addresses.OAUTH2_PROXY),
    addresses.version_of(addresses.OAUTH2_PROXY),
}
PEOPLE = ("user:ada@example.com", "serviceAccount:trainer@acme-ml-prod.iam.gserviceaccount.com")
GROUP = "group:data-science@example.com"


def members(*whose: str) -> set[str]:
    return {f'{addresses.IAP_MEMBERS}["{one}"]' for one in whose}


def test_the_gates_take_turns_and_nothing_that_holds_data_is_touched(tmp_path: Path, enabled: Path) -> None:
    home = shutil.copytree(enabled, tmp_path / "cloud")
    examples = copy_of_module(tmp_path) / "examples"
    folder, behind_iap = examples / "minimal", (examples / "iap" / "main.tf").read_text()
    # What has nothing to do with the gate stays as it is.
    behind_iap = "".join(line for line in behind_iap.splitlines(keepends=True) if "artifact_writers" not in line)
    behind_proxy = (folder / "main.tf").read_text()
    with opened(home, folder) as workspace:
        workspace.apply()

        (folder / "main.tf").write_text(behind_iap)
        workspace.init()
        told = {one.removeprefix("module.mlflow."): action for one, action in actions(workspace.plan()).items()}
        made = {addresses.IAP_INVOKER, *members(*PEOPLE, GROUP)}
        assert told == {
            **dict.fromkeys(OF_PROXY, "delete"),
            **dict.fromkeys(made, "create"),
            addresses.SERVICE: "update",
        }
        workspace.apply()
        assert workspace.plans_nothing()
        state = json.dumps(workspace.state())
        assert AGENT in state
        assert '"iap_enabled": true' in state

        (folder / "main.tf").write_text(
            behind_iap.replace('["ada@example.com"]', '["Ada@Example.com", "bob@example.com"]')
        )
        assert 'has ["Ada@Example.com"]' in workspace.apply_fails()
        (folder / "main.tf").write_text(
            behind_iap.replace('["ada@example.com"]', '["Ada@example.com", "bob@example.com"]')
        )
        assert actions(workspace.plan()) == {f'module.mlflow.{addresses.IAP_MEMBERS}["user:bob@example.com"]': "create"}

        (folder / "main.tf").write_text(behind_proxy)
        workspace.init()
        told = {one.removeprefix("module.mlflow."): action for one, action in actions(workspace.plan()).items()}
        assert told == {
            **dict.fromkeys(OF_PROXY, "create"),
            **dict.fromkeys(made, "delete"),
            addresses.SERVICE: "update",
        }
        workspace.apply()
        assert workspace.plans_nothing()
        assert AGENT not in json.dumps(workspace.state())
        workspace.destroy()


def test_the_variant_asks_for_a_newer_provider_and_the_others_do_not() -> None:
    def wanted(folder: str) -> str:
        document = json.loads((MODULE / folder / "versions.tf.json").read_text())
        return document["terraform"]["required_providers"]["google"]["version"]

    assert wanted("modules/iap") == versions.GOOGLE_WITH_IAP == ">= 7.21.0, < 9.0.0"
    assert wanted(".") == wanted("modules/service") == versions.GOOGLE == ">= 6.50.0, < 9.0.0"
    for folder in (".", "modules/service"):
        assert "iap" not in (MODULE / folder / "main.tf.json").read_text()


def test_the_variant_has_every_rule_that_its_variables_can_break() -> None:
    variables = iap_variables()
    said = "".join(validation.error_message for one in variables.values() for validation in one.validations)
    told = {rule.name for rule in IAP_RULES if rule.rule.template(str) in said}
    assert told == {"iap_lets_in_accounts_by_name", "iap_answers_uptime_checks_itself"}
    attributes = {f"{name}.{key}" for name, one in variables.items() for key in one.attributes}
    assert not attributes & OF_OAUTH2_PROXY
    assert "iap.groups" in attributes
    assert "oauth_client_secret" not in variables
