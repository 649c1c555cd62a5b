"""The constructs serve a root whose every input is a Terraform variable: nothing in Python depends on a value."""

import json
import re
from dataclasses import asdict, fields
from typing import Any, cast

import cdktf
import pytest
from cdktf import App, TerraformStack, TerraformVariable, Token
from cdktf_cdktf_provider_google.provider import GoogleProvider

from stacks.deployment import settings_to_inputs
from stacks.hcl import type_of
from stacks.inputs import Inputs, Placement
from stacks.names import CloudNames
from stacks.outputs import add_outputs, addresses, commands
from stacks.settings.load import load
from stacks.settings.model import Settings, section_of
from stacks.settings.section import Section
from stacks.tracking import TrackingServer
from tests.stacks.documents import ENVIRONMENTS, document, resources
from tests.stacks.evaluate import evaluate

SECTIONS: dict[str, type[Section]] = {
    name: section
    for name in Settings.model_fields
    if (section := section_of(name)) and name not in ("iap", "project", "state")
}
"""Those that a root may have as variables; which gate there is, is a root's own."""


class VariablesStack(TerraformStack):
    """A root that feeds a variable into every input."""

    def __init__(self, app: App) -> None:
        super().__init__(app, "variables")
        GoogleProvider(self, "google")
        sections = {
            name: section.model_construct(
                **{
                    field: self._variable(f"{name}_{field}", type_of(info.annotation))
                    for field, info in section.model_fields.items()
                }
            )
            for name, section in SECTIONS.items()
        }
        names = CloudNames(**{one.name: self._variable(f"names_{one.name}", "string") for one in fields(CloudNames)})
        placement = Placement(
            names=names,
            region=self._variable("region", "string"),
            labels=self._variable("labels", "map(string)"),
            project_id=self._variable("project_id", "string"),
            project_number=self._variable("project_number", "string"),
            kms_key=getattr(sections["encryption"], "kms_key"),  # noqa: B009 - a section of any kind
            network=cast("Any", sections["network"]),
        )
        TerraformVariable(self, "oauth_client_secret", type="string")
        inputs = Inputs(
            placement=placement,
            settings=Settings.model_construct(**sections),
            oauth_client_secret="var.oauth_client_secret",  # noqa: S106
        )
        server = TrackingServer(self, "tracking-server", inputs=inputs)
        add_outputs(self, [*addresses(server.foundation, server.serving), *commands(self, server.serving)])

    def _variable(self, name: str, type_: str) -> Any:
        variable = TerraformVariable(self, name, type=type_)
        match type_:
            case "string":
                return variable.string_value
            case "number":
                return variable.number_value
            case "bool":
                return variable.boolean_value
            case "list(string)":
                return variable.list_value
            case _:
                return Token.as_string_map(variable.value)


@pytest.fixture(scope="module")
def module() -> dict[str, Any]:
    return json.loads(cdktf.Testing.synth(VariablesStack(cdktf.Testing.app()), True))  # noqa: FBT003 - the binding's signature


def test_a_module_has_the_resources_of_a_deployment(module: dict[str, Any]) -> None:
    found = {f"{kind}.{name}" for kind, named in module["resource"].items() for name in named}
    assert found == set(resources("dev"))


def test_every_variable_reaches_the_document(module: dict[str, Any]) -> None:
    body = json.dumps({key: module[key] for key in ("resource", "locals", "output")})
    unused = [name for name in module["variable"] if f"var.{name}" not in body]
    assert unused == []


def test_no_value_of_a_variable_was_read_in_python(module: dict[str, Any]) -> None:
    body = json.dumps(module)
    assert "TfToken" not in body, "a token was formatted before Terraform could resolve it"
    assert "e+298" not in body, "the number that stands for a token was calculated with"
    assert "undefined" not in body


@pytest.mark.parametrize("environment", ["dev", "mysql", "maximal"])
def test_variables_give_what_settings_give(module: dict[str, Any], environment: str) -> None:
    settings = load(ENVIRONMENTS / f"{environment}.toml", {})
    inputs = settings_to_inputs(settings, oauth_client_secret="var.x")  # noqa: S106
    given = asdict(inputs.placement) | {"oauth_client_secret": "var.x"}
    given |= {f"names_{name}": value for name, value in given.pop("names").items()}
    for name in SECTIONS:
        given |= {f"{name}_{field}": value for field, value in getattr(inputs.settings, name).model_dump().items()}
    # The value of a variable is no template: what stands in a document escaped, stands there as it is.
    given["service_env"] = settings.service.env
    variables = {name: (body["type"], given[name]) for name, body in module["variable"].items()}
    from_variables = evaluate(_evaluable(module), locals_=module["locals"], variables=variables)
    from_settings = evaluate(_evaluable(document(environment)), locals_=document(environment)["locals"])
    assert _with_blocks_as_maps(_written_out(from_variables)) == _with_blocks_as_maps(_written_out(from_settings))


def _evaluable(root: dict[str, Any]) -> Any:
    """The resources of a document as arguments, without what only an apply can know."""
    text = re.sub(r"\$\{(?=[^}]*\b(google_|each\.))", "$${", json.dumps(root["resource"]))
    # The content of a dynamic block, whose iterator exists there alone.
    text = re.sub(r"\$\{(?=\w+\.(key|value)\})", "$${", text)
    resources_ = json.loads(text)
    del resources_["google_secret_manager_secret_version"]
    del resources_["google_sql_user"]
    del resources_["terraform_data"]
    for body in (body for named in resources_.values() for body in named.values()):
        body.pop("//", None)
        body.pop("depends_on", None)
        body.pop("lifecycle", None)
    return resources_


def _written_out(value: Any) -> Any:
    """Arguments and blocks that are there, whether they were written or are null, or dynamic over a list."""
    if isinstance(value, list):
        return [_written_out(item) for item in value]
    if not isinstance(value, dict):
        return value
    dynamic = value.get("dynamic", {})
    of_lists = {name: block for name, block in dynamic.items() if isinstance(block["for_each"], list)}
    found = {name: _written_out(inner) for name, inner in value.items() if name != "dynamic" and inner is not None}
    for name, block in of_lists.items():
        if block["for_each"]:
            found[name] = _written_out(block["content"])
    others = {name: block for name, block in dynamic.items() if name not in of_lists}
    return found | ({"dynamic": others} if others else {})


def _with_blocks_as_maps(resources_: Any) -> Any:
    """Name and value blocks as one map, whether they were written out or are dynamic."""
    for parent, block in (
        (resources_["google_sql_database_instance"]["tracking"]["settings"], "database_flags"),
        (resources_["google_cloud_run_v2_service"]["tracking"]["template"]["containers"][0], "env"),
    ):
        written = {item.pop("name"): item for item in parent.get(block, [])}
        dynamic = parent.pop("dynamic", {block: {"for_each": {}}})[block]["for_each"]
        parent[block] = written | {name: {"value": value} for name, value in dynamic.items()}
    return resources_
