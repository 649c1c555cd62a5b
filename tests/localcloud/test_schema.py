"""The schema is read out of the bindings as the provider has it, and an unknown form is an error."""

from __future__ import annotations

import filecmp
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud import google
from localcloud.services import RESOURCES
from localcloud.terraform import schema
from localcloud.terraform.model import Attribute, Block, Nesting

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def blocks() -> dict[str, Block]:
    return google.BINDINGS.resource_schemas(resource.type for resource in RESOURCES)


def test_every_type_with_a_local_meaning_has_a_schema(blocks: dict[str, Block]) -> None:
    assert set(blocks) == {resource.type for resource in RESOURCES}


def test_what_a_service_names_is_in_the_schema(blocks: dict[str, Block]) -> None:
    for resource in RESOURCES:
        block = blocks[resource.type]
        assert resource.requires_replace <= {*block.attributes, *block.blocks}, resource
        assert resource.state_only <= {*block.attributes, *block.blocks}, resource


def test_only_what_the_schema_does_not_tell_is_written_by_hand(blocks: dict[str, Block]) -> None:
    for resource in RESOURCES:
        attributes = blocks[resource.type].attributes
        assert all(attributes[name].computed and attributes[name].optional for name in resource.computed), resource
        assert all(attributes[name].computed and not attributes[name].optional for name in resource.unset), resource


def test_what_a_type_says_of_itself_is_complete() -> None:
    for resource in RESOURCES:
        assert set(resource.permissions) == {"create", "read", "update", "delete"}, resource
        assert bool(resource.api.name) == bool(resource.api.title), resource


def test_a_block_that_google_adds_has_googles_values_in_it() -> None:
    """Else the next plan shows one as unknown, for ever."""
    for resource in RESOURCES:
        defaults = resource.api_defaults
        for path, inner in ((outer, one) for outer in defaults for one in defaults if one.startswith(f"{outer}.")):
            added = defaults[path]
            block = added({}) if callable(added) else added
            name = inner.removeprefix(f"{path}.").partition(".")[0]
            assert isinstance(block, list)
            assert all(isinstance(one, dict) and name in one for one in block), (resource, path, name)


@pytest.mark.parametrize(
    ("path", "attribute"),
    [
        ("google_storage_bucket.name", Attribute(type="string", required=True)),
        ("google_storage_bucket.labels", Attribute(type=["map", "string"], optional=True)),
        ("google_storage_bucket.project_number", Attribute(type="number", computed=True)),
        ("google_sql_user.password", Attribute(type="string", optional=True, sensitive=True)),
        ("google_sql_user.password_wo", Attribute(type="string", optional=True, write_only=True)),
        (
            "google_sql_database_instance.replica_names",
            Attribute(type=["list", "string"], optional=True, computed=True),
        ),
        ("google_cloud_run_v2_service.custom_audiences", Attribute(type=["list", "string"], optional=True)),
    ],
)
def test_attributes_are_as_the_provider_has_them(blocks: dict[str, Block], path: str, attribute: Attribute) -> None:
    kind, name = path.split(".")
    assert blocks[kind].attributes[name] == attribute


def test_computed_objects_are_attributes(blocks: dict[str, Block]) -> None:
    found = blocks["google_sql_database_instance"].attributes["ip_address"]
    fields = dict.fromkeys(("ip_address", "time_to_retire", "type"), "string")
    assert found == Attribute(type=["list", ["object", {**fields}]], computed=True)


def test_blocks_have_their_nesting_and_limits(blocks: dict[str, Block]) -> None:
    bucket = blocks["google_storage_bucket"].blocks
    assert (bucket["lifecycle_rule"].nesting, bucket["lifecycle_rule"].max_items) == (Nesting.LIST, 100)
    condition = bucket["lifecycle_rule"].block.blocks["condition"]
    assert (condition.nesting, condition.min_items, condition.max_items) == (Nesting.SET, 1, 1)
    assert bucket["timeouts"].nesting is Nesting.SINGLE
    env = blocks["google_cloud_run_v2_service"].blocks["template"].block.blocks["containers"].block.blocks["env"]
    assert (env.nesting, env.max_items) == (Nesting.SET, 0)


def test_the_provider_block_has_no_alias() -> None:
    block = google.BINDINGS.provider_schema()
    assert block.attributes["project"] == Attribute(type="string", optional=True)
    assert "alias" not in block.attributes
    assert set(block.blocks) == {"batching", "external_credentials"}


def test_a_type_that_does_not_exist_is_left_out() -> None:
    assert google.BINDINGS.resource_schemas(["google_no_such_thing"]) == {}


def test_a_getter_of_unknown_form_is_an_error() -> None:
    text = """export class X extends cdktf.TerraformResource {
  public static readonly tfResourceType = "google_x";
  // size - computed: false, optional: true, required: false
  public get size() { return this.getComplicatedAttribute('size'); }
"""
    with pytest.raises(schema.SchemaError, match=r"google_x\.size: no type known"):
        schema._Source("google_x", text, schema.Corrections()).resource()


def test_the_committed_protocol_code_is_that_of_the_proto_file(tmp_path: Path) -> None:
    folder = "localcloud/terraform"
    outputs = (f"--python_out={tmp_path}", f"--pyi_out={tmp_path}")
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, f"{folder}/tfplugin6.proto"]
    subprocess.run(command, cwd=CHECKOUT, check=True)
    for name in ("tfplugin6_pb2.py", "tfplugin6_pb2.pyi"):
        assert filecmp.cmp(tmp_path / folder / name, CHECKOUT / folder / name, shallow=False), "run `make proto`"
