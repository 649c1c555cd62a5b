"""The base of a resource type in a service module: its names, its rules, and what creating one means here."""

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
from localcloud.terraform.schema import Corrections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from localcloud.store import Store
    from localcloud.terraform.model import Block

ENABLED_API = "serviceusage.api"
OWNER = "terraform@localhost"
"""Who calls where nobody said who does: the owner of everything."""
_SINCE = "resource.since"
ApiDefault: TypeAlias = "Value | Callable[[Object], Value]"
"""The value that Google gives an attribute that nobody set, or how it follows from the object."""
_ATTRIBUTION = {"goog-terraform-provisioned": "true"}


@dataclass(frozen=True, slots=True)
class Api:
    """A Google API.

    Attributes:
        name: its host name; "" for one that is enabled in every project.
        title: its name in messages.
    """

    name: str = ""
    title: str = ""


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
    """The requested object does not work, but Google keeps it.

    Attributes:
        computed: as `Resource.create` returns it.
    """

    def __init__(self, computed: Object, *problems: Problem) -> None:
        super().__init__(*problems)
        self.computed = computed


class Resource:
    """One resource type, in the words of https://developer.hashicorp.com/terraform/plugin/framework/resources.

    Subclasses say what differs. Objects are whole, as the schema says.

    Attributes:
        type: Terraform's name of the type.
        api: the Google API that must be enabled in the project.
        permissions: create, read, update or delete -> what the caller must be permitted; `crud` and `policy` make it.
        id_format: the id, with `{attribute}` in it.
        requires_replace: attributes whose change means a new object.
        computed: optional attributes to which `create` gives a value where none is set. Those that are computed and not
            optional are known from the schema.
        unset: computed attributes that stay null here.
        defaults: path -> the provider's own default; a plan shows it.
        api_defaults: path -> Google's default; a plan calls it unknown, and the value stays from then on.
        normalized: attribute -> its form at Google; writing it in another form is no change.
        state_only: attributes that Google does not know, so reading leaves them as they are in the state.
        corrections: what the bindings do not tell about the schema.
        late: the change takes effect a little after the call.
        idempotent: creating what exists already is no error.
        imports: forms of the ids that `terraform import` takes, with `{attribute}` in them.
    """

    type: ClassVar[str]
    api: ClassVar[Api] = Api()
    permissions: ClassVar[Mapping[str, tuple[str, ...]]]
    id_format: ClassVar[str]
    requires_replace: ClassVar[frozenset[str]] = frozenset()
    computed: ClassVar[frozenset[str]] = frozenset()
    unset: ClassVar[frozenset[str]] = frozenset()
    defaults: ClassVar[Mapping[str, Value]] = {}
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {}
    normalized: ClassVar[Mapping[str, Callable[[Object], Value]]] = {}
    state_only: ClassVar[frozenset[str]] = frozenset()
    corrections: ClassVar[Corrections] = Corrections()
    late: ClassVar[bool] = False
    idempotent: ClassVar[bool] = False
    imports: ClassVar[tuple[str, ...]] = ()

    def key(self, values: Object) -> str:
        """The key that is unique in the whole cloud; the id where that is enough."""
        return self.identify(values)

    def identify(self, values: Object) -> str:
        """The `id` that Terraform shows, in the provider's format."""
        return self.id_format.format_map({name: value for name, value in values.items() if isinstance(value, str)})

    def permissions_for(self, verb: str, values: Object) -> tuple[str, ...]:
        """The permissions that the caller needs.

        Args:
            verb: create, read, update or delete.
            values: the object.
        """
        del values
        return self.permissions[verb]

    def computed_on_create(self, block: Block) -> frozenset[str]:
        """The attributes that a plan for a new object calls unknown where they are not set."""
        by_schema = {name for name, attribute in block.attributes.items() if attribute.computed > attribute.optional}
        return frozenset({"id", *by_schema, *self.computed, *self.api_defaults} - self.unset)

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

    def replaced_by(self, prior: Object, planned: Object) -> list[str]:
        """The attributes whose change between two objects means a new object."""
        return sorted(name for name in self.requires_replace if planned.get(name) != prior.get(name))

    def validate(self, config: Object) -> Iterator[Problem]:
        """Returns the problems of a configuration by itself; values may be unknown."""
        del config
        yield from ()

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """Refuses what Google refuses before it creates or updates anything, by what else there is.

        Args:
            cloud: where.
            planned: the planned object, without write-only values.
            config: the configuration, with write-only values.
        """
        del cloud, planned, config

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Makes the object exist; its computed attributes are in what it returns.

        A creation that was cut short is tried again: what the first try left is taken over, not made twice.

        Args:
            cloud: where.
            planned: the planned object, without write-only values.
            config: the configuration, with write-only values.

        Raises:
            Kept: it does not work, and Google keeps it all the same.
        """
        del cloud, planned, config
        return {}

    def update(self, cloud: Cloud, planned: Object, config: Object, prior: Object) -> Object:
        """Changes the object; what it returns are the computed attributes that change with it.

        Args:
            cloud: where.
            planned: as for `create`.
            config: as for `create`.
            prior: the object before the change.

        Raises:
            Kept: as for `create`.
        """
        del cloud, planned, config, prior
        return {}

    def read(self, values: Object) -> Object:
        """The object as Google returns it, which may have another order and other spellings than it was sent with."""
        return values | {name: form(values) for name, form in self.normalized.items() if values.get(name) is not None}

    def delete(self, cloud: Cloud, values: Object) -> None:
        """Undoes `create`, or refuses."""
        del cloud, values

    def owner(self, values: Object) -> tuple[str, str] | None:
        """Type and key of the object that takes this one along when it is deleted; None if there is none."""
        del values
        return None

    def forget(self, cloud: Cloud, values: Object) -> None:
        """Removes what the cloud remembers of the object beside it, once it is deleted or gone with its owner."""
        del cloud, values

    def abandons(self, values: Object) -> bool:
        """Whether Terraform forgets the object when it is to be deleted, and the cloud does not."""
        del values
        return False

    def conflict(self, cloud: Cloud, values: Object) -> str:
        """Google's message when an object of the same name exists already."""
        del cloud
        return f"googleapi: Error 409: {self.type} {self.key(values)!r} already exists"


def crud(kind: str, **others: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The permissions for objects of a kind, such as `storage.buckets`; `others` replace those of a verb.

    https://cloud.google.com/iam/docs/permissions-reference
    """
    usual = {verb: (f"{kind}.{verb}",) for verb in ("create", "update", "delete")} | {"read": (f"{kind}.get",)}
    return usual | others


def policy(kind: str) -> dict[str, tuple[str, ...]]:
    """The permissions for a binding on an object of a kind."""
    change = (f"{kind}.getIamPolicy", f"{kind}.setIamPolicy")
    return {"create": change, "update": change, "delete": change, "read": change[:1]}


def require_api(cloud: Cloud, api: Api, project: str) -> None:
    """Refuses, as Google does, what belongs to an API that is not enabled.

    Raises:
        Refused: https://cloud.google.com/service-usage/docs/enable-disable
    """
    name = f"{project}/{api.name}"
    is_on = cloud.store.get(ENABLED_API, name) and is_old_enough(cloud, name, cloud.circumstances.delays.api)
    if api.name and not is_on:
        page = f"https://console.developers.google.com/apis/api/{api.name}/overview?project={project}"
        raise Refused(
            Problem(
                f"googleapi: Error 403: {api.title} has not been used in project {project} before or it is "
                f"disabled. Enable it by visiting {page} then retry. If you enabled this API recently, wait a few "
                "minutes for the action to propagate to our systems and retry., SERVICE_DISABLED",
                f"Enable {api.name} first: a google_project_service for it, applied before, or a missing depends_on on "
                "it. https://cloud.google.com/service-usage/docs/enable-disable",
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
