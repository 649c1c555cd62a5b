"""A provider made of resource types: turns Terraform's calls into what the service modules say, and keeps the books."""

from __future__ import annotations

import logging
import re
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.circumstances import Delays
from localcloud.resource import Cloud, Kept, Resource, require_api
from localcloud.terraform import planning
from localcloud.terraform.model import UNKNOWN, Attribute, Block, Object, Problem, Refused, text
from localcloud.terraform.protocol import Schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from localcloud.terraform.faults import Fault
    from localcloud.terraform.traffic import Traffic

_LOG = logging.getLogger(__name__)
_TAKEN = (
    "Take it over with `terraform import`, choose another name, or forget everything with `python -m localcloud reset`."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaSource:
    """Where schemas come from.

    Attributes:
        provider: the schema of the provider block.
        resources: gives the schemas of resource types; leaves out those that do not exist.
        mentioned: the types that the documents at hand name, with a meaning here or not.
        newer: by type, the attributes of later versions of the provider that are in use.
    """

    provider: Block
    resources: Callable[[Iterable[str]], Mapping[str, Block]]
    mentioned: Callable[[], set[str]]
    newer: Callable[[], Mapping[str, Mapping[str, Attribute]]] = dict


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The meaning of Google's services on this machine.

    Attributes:
        resources: the types that have a meaning here.
        authorize: refuses a call by whom it comes from, or where to: the cloud, the type, the verb (create, read,
            update or delete), and the values of the object.
    """

    resources: Iterable[Resource]
    authorize: Callable[[Cloud, Resource, str, Object], None]


class ResourceProvider:
    """Implements `localcloud.terraform.protocol.Provider` for Google's resource types."""

    def __init__(
        self,
        *,
        cloud: Cloud,
        services: Services,
        schema: SchemaSource,
        traffic: Traffic,
        fault: Fault,
    ) -> None:
        """Makes a provider.

        Args:
            cloud: where the resources live.
            services: what they mean.
            schema: where schemas come from.
            traffic: tells late changes when to happen.
            fault: the fault to inject.
        """
        self._cloud = cloud
        self._resources = {resource.type: resource for resource in services.resources}
        self._schema = schema
        self._authorize = services.authorize
        self._traffic = traffic
        self._fault = fault
        self._blocks = dict(schema.resources(self._resources))
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def schemas(self) -> Schemas:
        """The types with a meaning here, and those that documents name without one, for `validate` to refuse."""
        missing = self._schema.mentioned() - self._blocks.keys()
        if missing:
            self._blocks |= self._schema.resources(missing)
        for kind, attributes in self._schema.newer().items():
            self._blocks[kind].attributes.update(attributes)
        return Schemas(provider=self._schema.provider, resources=self._blocks)

    def configure(self, config: Object) -> None:
        """Takes the defaults. One server has one provider block: the last that Terraform sends."""
        self._cloud.project = text(config, "project")
        self._cloud.region = text(config, "region")
        labels = config.get("default_labels")
        self._cloud.default_labels = (
            {k: v for k, v in labels.items() if isinstance(v, str)} if isinstance(labels, dict) else {}
        )

    def validate(self, type_name: str, config: Object) -> Sequence[Problem]:
        """Every broken rule that the configuration shows by itself."""
        if type_name not in self._resources:
            return [_no_meaning(type_name)]
        return list(self._resources[type_name].validate(config))

    def upgrade(self, type_name: str, state: Object) -> Object:
        """Brings a state into the schema of the pinned bindings."""
        return planning.conform(self._block(type_name), state)

    def read(self, type_name: str, state: Object) -> Object | None:
        """Returns the stored object; None if somebody has removed it."""
        resource = self._resource(type_name)
        self._authorize(self._cloud, resource, "read", state)
        found = self._cloud.store.get(type_name, resource.key(state))
        if found is None:
            return None
        kept = {name: state.get(name) for name in resource.state_only}
        return planning.conform(self._block(type_name), found | kept)

    def plan(
        self, type_name: str, prior: Object | None, proposed: Object | None, config: Object | None
    ) -> tuple[Object | None, list[str]]:
        """Plans a creation, a change, a replacement, a deletion or nothing."""
        if proposed is None:
            return None, []
        resource, block, config = self._resource(type_name), self._block(type_name), config or {}
        known = resource.known(self._cloud, block, proposed)
        if block.attributes.get("project") and known.get("project", "") is None:
            raise Refused(Problem("No project", "Set project in the resource or in the provider block.", ("project",)))
        computed = resource.computed_on_create(block) if prior is None else resource.api_defaults
        filling = planning.Filling(known=known, defaults=resource.defaults, computed=sorted(computed))
        planned = planning.plan(block, proposed, config, prior, filling)
        if prior is None:
            return planned, []
        planned |= {name: prior[name] for name in resource.normalized if _is_alike(resource, name, prior, planned)}
        return (prior, []) if planned == prior else (planned, resource.replaced_by(prior, planned))

    def apply(
        self, type_name: str, prior: Object | None, planned: Object | None, config: Object | None
    ) -> tuple[Object | None, Refused | None]:
        """Creates, changes or deletes one object; what is there then may be refused, and yet there."""
        resource = self._resource(type_name)
        verb = "create" if prior is None else "delete" if planned is None else "update"
        operation = f"{verb} {type_name} {resource.key(planned or prior or {})}"
        if resource.late and verb == "create" and self._cloud.circumstances.delays == Delays():
            self._traffic.wait_until_quiet(operation)
        self._fault.before(operation)
        new, refused = None, None
        try:
            self._authorize(self._cloud, resource, verb, planned or prior or {})
            if planned is None:
                self._delete(resource, prior or {})
            else:
                new, refused = self._write(resource, planned, config or {}, prior)
        except Refused as error:
            _LOG.info("%s refused: %s", operation, error)
            raise
        _LOG.info("%s %s", operation, f"kept, though: {refused}" if refused else "done")
        self._fault.after(operation)
        if new is not None:
            self._cloud.store.mark_answered(type_name, resource.key(new))
        return new, refused

    def import_(self, type_name: str, import_id: str) -> Object:
        """Finds an object by one of the forms of its id."""
        resource, block = self._resource(type_name), self._block(type_name)
        for form in resource.imports:
            match = re.fullmatch(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(form)), import_id)
            if match:
                region = self._cloud.region
                defaults = {"project": self._cloud.project, "location": region, "region": region}
                return planning.conform(block, self._found(resource, defaults | match.groupdict(), import_id))
        forms = ", ".join(resource.imports) or "none: this type cannot be imported here"
        raise Refused(Problem(f"{import_id!r} is not an id of {type_name}", f"Forms: {forms}."))

    def _found(self, resource: Resource, names: dict[str, str], import_id: str) -> Object:
        key = resource.key({**names})
        found = self._cloud.store.get(resource.type, key)
        if found is None:
            raise Refused(
                Problem(f"Cannot import non-existent {resource.type} {import_id!r}", "See `localcloud status`.")
            )
        self._cloud.store.mark_answered(resource.type, key)
        return found | dict.fromkeys(resource.state_only)

    def open(self, type_name: str, config: Object) -> Object:
        """Google's provider has no ephemeral resources here."""
        del config
        raise Refused(_no_meaning(type_name))

    def _write(
        self, resource: Resource, planned: Object, config: Object, prior: Object | None
    ) -> tuple[Object, Refused | None]:
        cloud = self._cloud
        require_api(cloud, resource.api, text(planned, "project") or cloud.project)
        with self._locks[f"{resource.type} {resource.key(planned)}"]:
            if (
                prior is None
                and not resource.idempotent
                and cloud.store.is_answered(resource.type, resource.key(planned))
            ):
                raise Refused(Problem(resource.conflict(cloud, planned), _TAKEN))
            for path, value in resource.api_defaults.items():  # in their order: one may follow from those before
                planned = planning.settle(planned, path, value(planned) if callable(value) else value)
            refused = None
            resource.precheck(cloud, planned, config)
            try:
                if prior is None:
                    computed = resource.create(cloud, planned, config)
                else:
                    computed = resource.update(cloud, planned, config, prior)
            except Kept as kept:
                computed, refused = kept.computed, kept
            computed |= {"id": resource.identify(planned | computed)}
            found = resource.read(planning.finish(planned, computed))
            new = planning.conform(self._block(resource.type), found)
            cloud.store.put(resource.type, resource.key(new), new)
        return new, refused

    def _delete(self, resource: Resource, prior: Object) -> None:
        if self._cloud.store.get(resource.type, resource.key(prior)) is not None and not resource.abandons(prior):
            resource.delete(self._cloud, prior)
            self._forget(resource, prior)

    def _forget(self, resource: Resource, values: Object) -> None:
        """Removes an object from the books, and before it those that it owns."""
        store, owner = self._cloud.store, (resource.type, resource.key(values))
        for other in self._resources.values():
            for found in store.all(other.type) if other is not resource else ():
                if other.owner(found) == owner:
                    self._forget(other, found)
        resource.forget(self._cloud, values)
        store.remove(*owner)

    def _resource(self, type_name: str) -> Resource:
        if type_name not in self._resources:
            raise Refused(_no_meaning(type_name))
        return self._resources[type_name]

    def _block(self, type_name: str) -> Block:
        if type_name not in self._blocks:
            raise Refused(_no_meaning(type_name))
        return self._blocks[type_name]


def _is_alike(resource: Resource, name: str, prior: Object, planned: Object) -> bool:
    """Whether an attribute is only written in another form than Google's."""
    form = resource.normalized[name]
    return planned.get(name) not in (None, UNKNOWN) and form(planned) == form(prior)


def _no_meaning(type_name: str) -> Problem:
    return Problem(
        f"{type_name} has no meaning in the local cloud",
        "The real provider knows it. To use it here, add a Resource for it to its service's module in "
        "localcloud/services/ and to the list in localcloud/services/__init__.py.",
    )
