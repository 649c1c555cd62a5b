"""What a service module says about a resource type: its names, its rules, and what creating one means here."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from localcloud.model import UNKNOWN, Object, Problem, Refused, Value, text
from localcloud.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localcloud.model import Block
    from localcloud.store import Store

ENABLED_API = "serviceusage.api"
_ATTRIBUTION = {"goog-terraform-provisioned": "true"}


@dataclass(slots=True)
class Cloud:
    """Where the resources live: what is remembered, what they are made of, and the defaults of the provider block.

    Attributes:
        numbers: project id -> project number, where somebody said it.
    """

    store: Store
    platform: Platform = field(default_factory=Platform)
    numbers: dict[str, str] = field(default_factory=dict[str, str])
    project: str = ""
    region: str = ""
    default_labels: dict[str, str] = field(default_factory=dict[str, str])

    def project_number(self, project: str) -> str:
        """A project's number: the one that was said, or twelve digits made of its id, since nobody assigns one here."""
        return self.numbers.get(project) or stable_number(project, digits=12)


class Resource:
    """One resource type. Subclasses say what differs; objects are whole, as the schema says.

    Attributes:
        type: Terraform's name of the type.
        api: the Google API that must be enabled in the project; "" for those that every project has.
        id_format: the id, with `{attribute}` in it.
        immutable: attributes whose change means a new object.
        assigned: computed attributes that `realize` gives values to.
        kept_by_terraform: attributes that Google does not know, so reading leaves them as they are in the state.
        late: the change takes effect a little after the call.
        idempotent: creating what exists already is no error.
        imports: forms of the ids that `terraform import` takes, with `{attribute}` in them.
    """

    type: ClassVar[str]
    api: ClassVar[str] = ""
    id_format: ClassVar[str]
    immutable: ClassVar[frozenset[str]] = frozenset()
    assigned: ClassVar[frozenset[str]] = frozenset()
    kept_by_terraform: ClassVar[frozenset[str]] = frozenset()
    late: ClassVar[bool] = False
    idempotent: ClassVar[bool] = False
    imports: ClassVar[tuple[str, ...]] = ()

    def key(self, values: Object) -> str:
        """What tells one object from another, everywhere in the cloud; the id where that is enough."""
        return self.identify(values)

    def identify(self, values: Object) -> str:
        """The `id` that Terraform shows, in the provider's format."""
        return self.id_format.format_map({name: value for name, value in values.items() if isinstance(value, str)})

    def known(self, cloud: Cloud, block: Block, values: Object) -> Object:
        """Computed values that are certain before the apply, by attribute."""
        known: Object = {}
        if "project" in block.attributes and block.attributes["project"].computed:
            known["project"] = text(values, "project") or cloud.project or None
        if "effective_labels" in block.attributes:
            labels = values.get("labels") or {}
            all_labels: Value = {**cloud.default_labels, **labels} if isinstance(labels, dict) else UNKNOWN
            known["terraform_labels"] = all_labels
            known["effective_labels"] = {**all_labels, **_ATTRIBUTION} if isinstance(all_labels, dict) else UNKNOWN
        return known

    def changing(self, prior: Object, planned: Object) -> Sequence[str]:
        """The attributes that the cloud assigns anew when an object changes in place."""
        del prior, planned
        return ()

    def replacing(self, prior: Object, planned: Object) -> list[str]:
        """The attributes whose change means a new object."""
        return sorted(name for name in self.immutable if planned.get(name) != prior.get(name))

    def check(self, values: Object) -> Iterator[Problem]:
        """What is wrong with a configuration by itself; values may be unknown."""
        del values
        yield from ()

    def admit(self, cloud: Cloud, values: Object, config: Object) -> None:
        """Refuses what Google would refuse at the moment of the call, by what else there is."""
        del cloud, values, config

    def realize(self, cloud: Cloud, values: Object, config: Object, prior: Object | None) -> Object:
        """Makes the object exist, or changes it.

        A creation that was cut short is tried again: what the first try left is taken over, not made twice.

        Args:
            cloud: where.
            values: the planned object, without write-only values.
            config: the configuration, with write-only values.
            prior: the object before the change, None for a new one.

        Returns:
            Values of the attributes in `assigned` and `changing`.
        """
        del cloud, values, config, prior
        return {}

    def remove(self, cloud: Cloud, values: Object) -> None:
        """Undoes `realize`, or refuses."""
        del cloud, values


def require_api(cloud: Cloud, api: str, project: str) -> None:
    """Refuses, as Google does, what belongs to an API that is not enabled.

    Raises:
        Refused: https://cloud.google.com/service-usage/docs/enable-disable
    """
    if api and not cloud.store.get(ENABLED_API, f"{project}/{api}"):
        raise Refused(
            Problem(
                f"Error 403: the API {api} is not enabled in project {project}",
                f"Enable it first: a google_project_service for {api} (the bootstrap stack has them), applied before, "
                "or a missing depends_on on it. https://cloud.google.com/service-usage/docs/enable-disable",
            )
        )


def name_problem(values: Object, attribute: str, pattern: str, rule: str) -> Iterator[Problem]:
    """A problem if a name is known and does not match its service's rule."""
    value = values.get(attribute)
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield Problem(f"{attribute} {value!r} is not a valid name", rule, (attribute,))


def protected(what: str, attribute: str) -> Refused:
    """The refusal to delete something that is protected."""
    return Refused(
        Problem(
            f"{what} cannot be deleted: {attribute} is true",
            f"Set {attribute} to false, apply, and then delete or replace it.",
        )
    )


def stable_number(*parts: str, digits: int) -> str:
    """A number that looks assigned and is the same for the same parts, so that two runs can be compared."""
    digest = int(hashlib.sha256("/".join(parts).encode()).hexdigest(), 16)
    smallest = 10 ** (digits - 1)
    return str(smallest + digest % (9 * smallest))


def now() -> str:
    """The time in Google's form."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
