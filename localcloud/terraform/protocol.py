"""Terraform's plugin protocol 6 on a unix socket: knows Terraform and no Google.

Terraform is pointed at the running server by TF_REATTACH_PROVIDERS, which exists for debugging providers:
https://developer.hashicorp.com/terraform/plugin/debugging#starting-a-provider-in-debug-mode
Every call gets an answer: what goes wrong becomes a diagnostic, which Terraform shows to the person.
"""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import grpc

from localcloud.terraform import tfplugin6_pb2 as pb
from localcloud.terraform import wire
from localcloud.terraform.model import Block, Object, Problem, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from google.protobuf.message import Message

    from localcloud.terraform.traffic import Traffic

# Where Terraform and OpenTofu look for a source without a host: https://opentofu.org/docs/language/providers/requirements/#source-addresses
_REGISTRIES = ("registry.terraform.io", "registry.opentofu.org")
_THREADS = 64  # more than Terraform's -parallelism (10), because late changes keep a thread while they wait
_MESSAGE_LIMIT = 256 << 20  # bytes, as in Terraform's own client; schemas are large
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schemas:
    """The schemas of a provider: its own configuration, its resources and its ephemeral resources."""

    provider: Block = field(default_factory=Block)
    resources: dict[str, Block] = field(default_factory=dict[str, Block])
    ephemerals: dict[str, Block] = field(default_factory=dict[str, Block])


class Provider(Protocol):
    """A provider that answers Terraform. Every method may raise Refused; objects are whole, as the schema says."""

    def schemas(self) -> Schemas:
        """The schemas for the documents at hand."""
        ...

    def configure(self, config: Object) -> None:
        """Takes the provider block: defaults for every resource."""
        ...

    def validate(self, type_name: str, config: Object) -> Sequence[Problem]:
        """Everything that is wrong with a configuration by itself; it may have unknown values."""
        ...

    def upgrade(self, type_name: str, state: Object) -> Object:
        """A state that an older schema left, in the present one."""
        ...

    def read(self, type_name: str, state: Object) -> Object | None:
        """Returns the present object, None if it is gone."""
        ...

    def plan(
        self, type_name: str, prior: Object | None, proposed: Object | None, config: Object | None
    ) -> tuple[Object | None, list[str]]:
        """Returns the object after an apply, and the attributes that force a replacement."""
        ...

    def apply(
        self, type_name: str, prior: Object | None, planned: Object | None, config: Object | None
    ) -> tuple[Object | None, Refused | None]:
        """Makes it so: creates, updates or (planned None) deletes; only `config` has the write-only values.

        Returns:
            What is there then, and why it is refused although it is there.
        """
        ...

    def import_(self, type_name: str, import_id: str) -> Object:
        """Finds an object that exists already, by an id that a person typed."""
        ...

    def open(self, type_name: str, config: Object) -> Object:
        """Makes an ephemeral value."""
        ...


class _Service:
    """Translates the messages of the protocol into calls of a provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def GetMetadata(self, _: pb.Empty) -> pb.Empty:  # noqa: N802 - the protocol's name, here and below
        return pb.Empty()

    StopProvider = CloseEphemeralResource = GetResourceIdentitySchemas = GetMetadata

    def GetProviderSchema(self, _: pb.Empty) -> pb.GetProviderSchema.Response:  # noqa: N802
        schemas = self._provider.schemas()
        return pb.GetProviderSchema.Response(
            provider=wire.schema_message(schemas.provider),
            resource_schemas={name: wire.schema_message(block) for name, block in schemas.resources.items()},
            ephemeral_resource_schemas={name: wire.schema_message(block) for name, block in schemas.ephemerals.items()},
        )

    def ValidateProviderConfig(  # noqa: N802
        self, _: pb.ValidateProviderConfig.Request
    ) -> pb.ValidateProviderConfig.Response:
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request: pb.ValidateConfig.Request) -> pb.ValidateConfig.Response:  # noqa: N802
        problems = self._provider.validate(request.type_name, wire.decode(request.config) or {})
        return pb.ValidateConfig.Response(diagnostics=wire.diagnostics(problems))

    ValidateEphemeralResourceConfig = ValidateResourceConfig

    def ConfigureProvider(self, request: pb.ConfigureProvider.Request) -> pb.ConfigureProvider.Response:  # noqa: N802
        self._provider.configure(wire.decode(request.config) or {})
        return pb.ConfigureProvider.Response()

    def UpgradeResourceState(  # noqa: N802
        self, request: pb.UpgradeResourceState.Request
    ) -> pb.UpgradeResourceState.Response:
        state = wire.decode(pb.DynamicValue(json=request.raw_state.json)) or {}
        return pb.UpgradeResourceState.Response(
            upgraded_state=wire.encode(self._provider.upgrade(request.type_name, state))
        )

    def ReadResource(self, request: pb.ReadResource.Request) -> pb.ReadResource.Response:  # noqa: N802
        state = wire.decode(request.current_state)
        found = self._provider.read(request.type_name, state) if state is not None else None
        return pb.ReadResource.Response(new_state=wire.encode(found))

    def PlanResourceChange(self, request: pb.PlanResourceChange.Request) -> pb.PlanResourceChange.Response:  # noqa: N802
        planned, requires_replace = self._provider.plan(
            request.type_name,
            wire.decode(request.prior_state),
            wire.decode(request.proposed_new_state),
            wire.decode(request.config),
        )
        # As the real provider: what comes back may differ from what was planned, and a later plan then shows it.
        # https://github.com/hashicorp/terraform/blob/main/docs/resource-instance-change-lifecycle.md
        return pb.PlanResourceChange.Response(
            planned_state=wire.encode(planned),
            requires_replace=[wire.path_message((name,)) for name in requires_replace],
            legacy_type_system=True,
        )

    def ApplyResourceChange(  # noqa: N802
        self, request: pb.ApplyResourceChange.Request
    ) -> pb.ApplyResourceChange.Response:
        prior = wire.decode(request.prior_state)
        try:
            new, kept = self._provider.apply(
                request.type_name, prior, wire.decode(request.planned_state), wire.decode(request.config)
            )
        except Refused as refused:
            # Without the prior state Terraform would forget a resource whose update or deletion failed.
            return pb.ApplyResourceChange.Response(
                new_state=wire.encode(prior),
                diagnostics=wire.diagnostics(refused.problems),
                legacy_type_system=True,
            )
        return pb.ApplyResourceChange.Response(
            new_state=wire.encode(new),
            diagnostics=wire.diagnostics(kept.problems if kept else ()),
            legacy_type_system=True,
        )

    def ImportResourceState(  # noqa: N802
        self, request: pb.ImportResourceState.Request
    ) -> pb.ImportResourceState.Response:
        state = wire.encode(self._provider.import_(request.type_name, request.id))
        imported = pb.ImportResourceState.ImportedResource(type_name=request.type_name, state=state)
        return pb.ImportResourceState.Response(imported_resources=[imported])

    def OpenEphemeralResource(  # noqa: N802
        self, request: pb.OpenEphemeralResource.Request
    ) -> pb.OpenEphemeralResource.Response:
        result = self._provider.open(request.type_name, wire.decode(request.config) or {})
        return pb.OpenEphemeralResource.Response(result=wire.encode(result))


_REQUESTS: dict[str, tuple[type[Message], type[Message]]] = {
    "GetMetadata": (pb.Empty, pb.Empty),
    "GetProviderSchema": (pb.Empty, pb.GetProviderSchema.Response),
    "GetResourceIdentitySchemas": (pb.Empty, pb.Empty),
    "ValidateProviderConfig": (pb.ValidateProviderConfig.Request, pb.ValidateProviderConfig.Response),
    "ValidateResourceConfig": (pb.ValidateConfig.Request, pb.ValidateConfig.Response),
    "ValidateEphemeralResourceConfig": (pb.ValidateConfig.Request, pb.ValidateConfig.Response),
    "ConfigureProvider": (pb.ConfigureProvider.Request, pb.ConfigureProvider.Response),
    "UpgradeResourceState": (pb.UpgradeResourceState.Request, pb.UpgradeResourceState.Response),
    "ReadResource": (pb.ReadResource.Request, pb.ReadResource.Response),
    "PlanResourceChange": (pb.PlanResourceChange.Request, pb.PlanResourceChange.Response),
    "ApplyResourceChange": (pb.ApplyResourceChange.Request, pb.ApplyResourceChange.Response),
    "ImportResourceState": (pb.ImportResourceState.Request, pb.ImportResourceState.Response),
    "OpenEphemeralResource": (pb.OpenEphemeralResource.Request, pb.OpenEphemeralResource.Response),
    "CloseEphemeralResource": (pb.Empty, pb.Empty),
    "StopProvider": (pb.Empty, pb.Empty),
}


def start(provider: Provider, socket: Path, traffic: Traffic) -> grpc.Server:
    """Serves a provider until the returned server is stopped.

    Args:
        provider: what answers.
        socket: where to listen; a path of at most 107 bytes, as unix sockets have it.
        traffic: told of every call.
    """
    limits = [("grpc.max_receive_message_length", _MESSAGE_LIMIT), ("grpc.max_send_message_length", _MESSAGE_LIMIT)]
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=limits)
    service = _Service(provider)
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        name: grpc.unary_unary_rpc_method_handler(
            _answering(getattr(service, name), answer, traffic),
            request_deserializer=request.FromString,
            response_serializer=answer.SerializeToString,
        )
        for name, (request, answer) in _REQUESTS.items()
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("tfplugin6.Provider", handlers)])
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    return server


def _answering(
    method: Callable[[Any], Message], answer: type[Message], traffic: Traffic
) -> Callable[[Any, grpc.ServicerContext], Message]:
    """Makes every failure of a method an answer with diagnostics."""

    def answer_call(request: Message, _: grpc.ServicerContext) -> Message:
        with traffic.call():
            try:
                return method(request)
            except Refused as refused:
                problems = refused.problems
            except Exception as error:  # noqa: BLE001 - one bad call must not end the server
                problems = (_mishap(error),)
        return (
            answer(diagnostics=wire.diagnostics(problems))
            if "diagnostics" in answer.DESCRIPTOR.fields_by_name
            else answer()
        )

    return answer_call


def _mishap(error: Exception) -> Problem:
    """A fault of the local cloud itself. Its message is left out, because it may hold a secret value."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "unknown"  # noqa: PTH119
    _LOG.error("internal error: %s at %s", type(error).__name__, where)
    return Problem("The local cloud made a mistake", f"{type(error).__name__} at {where}: please report it.")


def reattach(sockets: dict[str, Path]) -> str:
    """The value of TF_REATTACH_PROVIDERS.

    Args:
        sockets: where each provider listens, by its source address without the registry.
    """
    return json.dumps(
        {
            f"{registry}/{source}": {
                "Protocol": "grpc",
                "ProtocolVersion": 6,
                "Pid": os.getpid(),
                "Test": True,  # Terraform must not stop the server when it is done
                "Addr": {"Network": "unix", "String": str(socket)},
            }
            for source, socket in sockets.items()
            for registry in _REGISTRIES
        }
    )
