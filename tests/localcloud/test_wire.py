"""Values pass between Terraform and the provider unharmed, and no bytes at all end the server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.server import GOOGLE, running
from localcloud.terraform import tfplugin6_pb2 as pb
from localcloud.terraform import wire
from localcloud.terraform.model import UNKNOWN, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

integers = st.integers(-(2**63), 2**64 - 1)
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False) | st.text() | st.just(UNKNOWN)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)
objects = st.dictionaries(st.text(), values, max_size=6)
# What Terraform might send, bytes that nobody packed, and an object that breaks off.
configurations = (
    objects.map(lambda value: wire.encode(value).msgpack)
    | st.binary(max_size=200)
    | st.binary(max_size=4).map(lambda tail: b"\x81\xa4name" + tail)
)
TYPES = [
    "google_storage_bucket",
    "google_cloud_run_v2_service",
    "google_sql_user",
    "google_project_iam_member",
    "",
    "x",
]
METHODS: dict[str, tuple[Any, Any, list[str]]] = {
    "ValidateResourceConfig": (pb.ValidateConfig.Request, pb.ValidateConfig.Response, ["config"]),
    "ReadResource": (pb.ReadResource.Request, pb.ReadResource.Response, ["current_state"]),
    "PlanResourceChange": (
        pb.PlanResourceChange.Request,
        pb.PlanResourceChange.Response,
        ["prior_state", "proposed_new_state", "config"],
    ),
    "ApplyResourceChange": (
        pb.ApplyResourceChange.Request,
        pb.ApplyResourceChange.Response,
        ["prior_state", "planned_state", "config"],
    ),
}
many = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    folder = tmp_path_factory.mktemp("fuzzed")
    with running(folder / "cloud", folder, "--quiet", "0") as reattach:
        socket = json.loads(reattach)[f"registry.terraform.io/{GOOGLE}"]["Addr"]["String"]
        with grpc.insecure_channel(f"unix:{socket}") as channel:
            yield channel


@given(objects)
def test_what_is_encoded_is_decoded(value: dict[str, Any]) -> None:
    assert wire.decode(wire.encode(value)) == value


def test_an_unknown_with_refinements_is_unknown() -> None:
    refined = msgpack.packb({"name": msgpack.ExtType(12, msgpack.packb({1: False}))})
    assert wire.decode(pb.DynamicValue(msgpack=refined)) == {"name": UNKNOWN}


@pytest.mark.parametrize(
    "data", [b"\xc1", b"\x81", b"\x93\x01\x02\x03", b"\xa1x", b"\x91" * 5000, b"\x81\xa1x\xd4\x05\x00"]
)
def test_bytes_that_are_no_object_are_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        wire.decode(pb.DynamicValue(msgpack=data))


@many
@given(
    method=st.sampled_from(sorted(METHODS)),
    type_name=st.sampled_from(TYPES),
    data=st.lists(configurations, min_size=3, max_size=3),
)
def test_every_call_is_answered(channel: grpc.Channel, method: str, type_name: str, data: list[bytes]) -> None:
    request, response, fields = METHODS[method]
    sent = {name: pb.DynamicValue(msgpack=value) for name, value in zip(fields, data, strict=False)}
    _call(channel, method, request(type_name=type_name, **sent), response)


@many
@given(state=st.binary(max_size=100) | st.text().map(str.encode), import_id=st.text())
def test_every_state_and_import_id_is_answered(channel: grpc.Channel, state: bytes, import_id: str) -> None:
    kind = "google_storage_bucket"
    upgrade = pb.UpgradeResourceState.Request(type_name=kind, raw_state=pb.RawState(json=state))
    _call(channel, "UpgradeResourceState", upgrade, pb.UpgradeResourceState.Response)
    imported = pb.ImportResourceState.Request(type_name=kind, id=import_id)
    _call(channel, "ImportResourceState", imported, pb.ImportResourceState.Response)


def _call(channel: grpc.Channel, method: str, request: Any, response: Any) -> None:
    """Every call is answered, with a result or with diagnostics; a server that died would not answer the next."""
    call = channel.unary_unary(
        f"/tfplugin6.Provider/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=response.FromString,
    )
    assert isinstance(call(request, timeout=30), response)
