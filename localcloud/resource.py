"""What a service module says about a resource type: its names, its rules, and what creating one means here."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from localcloud.circumstances import Circumstances
from localcloud.platform import Platform
from localcloud.terraform.model import UNKNOWN, Object, Problem, Refused, Value, at, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from localcloud.store import Store
    from localcloud.terraform.model import Block

ENABLED_API = "serviceusage.api"
_SINCE = "resource.since"
Given: TypeAlias = "Value | Callable[[Object], Value]"
"""What Google gives an attribute that nobody named: a value, or how it follows from the object."""
_API_TITLES = {
    "artifactregistry.googleapis.com": "Artifact Registry API",
    "cloudresourcemanager.googleapis.com": "Cloud Resource Manager API",
    "iam.googleapis.com": "Identity and Access Management (IAM) API",
    "run.googleapis.com": "Cloud Run Admin API",
    "secretmanager.googleapis.com": "Secret Manager API",
    "sqladmin.googleapis.com": "Cloud SQL Admin API",
}
_ATTRIBUTION = {"goog-terraform-provisioned": "true"}


@dataclass(slots=True)
class Cloud:
    """Where the resources live: what is remembered, what they are made of, and the defaults of the provider block."""

    store: Store
    platform: Platform = field(default_factory=Platform)
    circumstances: Circumstances = field(default_factory=Circumstances)
    project: str = ""
    region: str = ""
    default_labels: dict[str, str] = field(default_factory=dict[str, str])

    def project_number(self, project: str) -> str:
        """A project's number: the one that was said, or twelve digits made of its id, since nobody assigns one here."""
        return self.circumstances.numbers.get(project) or stable_number(project, digits=12)


class Kept(Refused):
    """What was asked for does not work, and Google keeps it all the same.

    Attributes:
        assigned: as `Resource.realize` returns them.
    """

    def __init__(self, assigned: Object, *problems: Problem) -> None:
        super().__init__(*problems)
        self.assigned = assigned


class Resource:
    """One resource type. Subclasses say what differs; objects are whole, as the schema says.

    Attributes:
        type: Terraform's name of the type.
        api: the Google API that must be enabled in the project; "" for those that every project has.
        id_format: the id, with `{attribute}` in it.
        immutable: attributes whose change means a new object.
        assigned: computed attributes that `realize` gives values to.
        defaults: path -> what the provider itself says where nothing was said; a plan shows it.
        given: path -> what Google gives where nothing was said; a plan calls it unknown, and it stays after that.
        alike: attributes -> their form at Google, where one that is written otherwise is no change.
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
    defaults: ClassVar[Mapping[str, Value]] = {}
    given: ClassVar[Mapping[str, Given]] = {}
    alike: ClassVar[Mapping[str, Callable[[Object], Value]]] = {}
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
            known["terraform_labels"] = {**all_labels, **_ATTRIBUTION} if isinstance(all_labels, dict) else UNKNOWN
            known["effective_labels"] = known["terraform_labels"]
        return known

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
            Values of the attributes in `assigned`, and of others that Google gives anew at every change.

        Raises:
            Kept: it does not work, and Google keeps it all the same.
        """
        del cloud, values, config, prior
        return {}

    def answer(self, values: Object) -> Object:
        """The object as Google answers it, which may have another order and other spellings than it was sent with."""
        return values | {name: form(values) for name, form in self.alike.items() if values.get(name) is not None}

    def remove(self, cloud: Cloud, values: Object) -> None:
        """Undoes `realize`, or refuses."""
        del cloud, values

    def abandons(self, values: Object) -> bool:
        """Whether Terraform forgets the object when it is to be deleted, and the cloud does not."""
        del values
        return False

    def taken(self, cloud: Cloud, values: Object) -> str:
        """What Google says when there is one of the same name already."""
        del cloud
        return f"googleapi: Error 409: {self.type} {self.key(values)!r} already exists"


def require_api(cloud: Cloud, api: str, project: str) -> None:
    """Refuses, as Google does, what belongs to an API that is not enabled.

    Raises:
        Refused: https://cloud.google.com/service-usage/docs/enable-disable
    """
    name = f"{project}/{api}"
    is_on = cloud.store.get(ENABLED_API, name) and is_old_enough(cloud, name, cloud.circumstances.delays.api)
    if api and not is_on:
        page = f"https://console.developers.google.com/apis/api/{api}/overview?project={project}"
        raise Refused(
            Problem(
                f"googleapi: Error 403: {_API_TITLES[api]} has not been used in project {project} before or it is "
                f"disabled. Enable it by visiting {page} then retry. If you enabled this API recently, wait a few "
                "minutes for the action to propagate to our systems and retry., SERVICE_DISABLED",
                f"Enable {api} first: a google_project_service for it (the bootstrap stack has them), applied before, "
                "or a missing depends_on on it. https://cloud.google.com/service-usage/docs/enable-disable",
            )
        )


def note_time(cloud: Cloud, name: str) -> None:
    """Remembers when something was made that takes effect later."""
    cloud.store.put(_SINCE, name, {"time": time.time()})


def is_old_enough(cloud: Cloud, name: str, delay: float) -> bool:
    """Whether something of `note_time` was made long enough ago, in seconds; what nobody noted always was."""
    since = at(cloud.store.get(_SINCE, name), "time") if delay else None
    return not isinstance(since, int | float) or time.time() - since >= delay


def name_problem(values: Object, attribute: str, pattern: str, rule: str) -> Iterator[Problem]:
    """A problem if a name is known and does not match its service's rule."""
    value = values.get(attribute)
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield Problem(f"{attribute} {value!r} is not a valid name", rule, (attribute,))


def protected(message: str, attribute: str) -> Refused:
    """The refusal to delete something that is protected, in the words of who refuses."""
    return Refused(Problem(message, f"Set {attribute} to false, apply, and then delete or replace it."))


def stable_number(*parts: str, digits: int) -> str:
    """A number that looks assigned and is the same for the same parts, so that two runs can be compared."""
    digest = int(hashlib.sha256("/".join(parts).encode()).hexdigest(), 16)
    smallest = 10 ** (digits - 1)
    return str(smallest + digest % (9 * smallest))


def now() -> str:
    """The time in Google's form."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
