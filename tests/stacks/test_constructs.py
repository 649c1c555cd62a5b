"""Constructs are parts: a stack can have more than one of each, and a wrong address is refused."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from stacks import addresses
from stacks.settings.load import load
from tests.stacks.documents import ENVIRONMENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdktf import TerraformStack


def _synthesized(build: "Callable[[TerraformStack], object]") -> dict[str, Any]:
    from cdktf import App, TerraformStack  # noqa: PLC0415 - cdktf starts node, which must find the bindings lazy

    stack = TerraformStack(App(skip_validation=True), "parts")
    build(stack)
    return stack.to_terraform()


def _tracking_servers(*prefixes: str) -> dict[str, Any]:
    from stacks.deployment import settings_to_inputs  # noqa: PLC0415
    from stacks.tracking import TrackingServer  # noqa: PLC0415

    inputs = settings_to_inputs(load(ENVIRONMENTS / "dev.toml", {}), oauth_client_secret="var.x")  # noqa: S106

    def build(stack: "TerraformStack") -> None:
        for prefix in prefixes:
            placement = replace(inputs.placement, prefix=prefix)
            TrackingServer(stack, f"{prefix}server", inputs=replace(inputs, placement=placement))

    return _synthesized(build)


def test_a_stack_can_have_two_of_everything() -> None:
    one, both = _tracking_servers(""), _tracking_servers("", "b_")
    for section in ("resource", "ephemeral"):
        for kind, named in one[section].items():
            assert len(both[section][kind]) == 2 * len(named), kind
            assert set(both[section][kind]) >= {*named}, kind
    for section in ("locals", "check"):
        assert set(both[section]) == {*one[section], *(f"b_{name}" for name in one[section])}


def test_the_second_of_two_refers_to_its_own_parts() -> None:
    one, both = _tracking_servers(""), _tracking_servers("", "b_")
    second = json.dumps(
        [
            block
            for kind, named in both["resource"].items()
            for name, block in named.items()
            if name not in one["resource"][kind]
        ]
    )
    for address in (addresses.BUCKET, addresses.INSTANCE, addresses.ACCOUNT, addresses.BACKEND_STORE_URI):
        assert f"{address}." not in second
        assert f"{address.of('b_')}." in second


def test_a_resource_gets_no_address_of_another_type() -> None:
    from cdktf_cdktf_provider_google.storage_bucket import StorageBucket  # noqa: PLC0415

    from stacks.resources import pin  # noqa: PLC0415

    with pytest.raises(ValueError, match=f"{addresses.ACCOUNT} is no address of a google_storage_bucket"):
        _synthesized(lambda stack: pin(StorageBucket(stack, "bucket", name="a", location="EU"), addresses.ACCOUNT))
