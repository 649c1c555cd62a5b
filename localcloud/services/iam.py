"""IAM: service accounts, bindings of roles to members, and the question that everything asks: may this account do that?

A binding counts for the resource that it was made on, and one made on the project for everything in it; its condition
is evaluated in Google's expression language. Left out: folders and organizations, deny policies, groups.
https://cloud.google.com/iam/docs/policies
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

import cel
from typing_extensions import override

from localcloud.resource import (
    Api,
    Cloud,
    Resource,
    crud,
    is_old_enough,
    name_problem,
    note_time,
    policy,
    stable_number,
)
from localcloud.services.roles import permits
from localcloud.terraform.model import UNKNOWN, Object, Problem, Refused, Value, objects, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localcloud.terraform.model import Block

_MEMBER = (
    r"allUsers|allAuthenticatedUsers|(user|group|serviceAccount):[^@\s:]+@[^@\s:]+|domain:\S+"
    r"|serviceAccount:\S+\.svc\.id\.goog\[[^\s/]+/[^\s/]+\]|(principal|principalSet)://\S(.*\S)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something that is accessed.

    Attributes:
        project: the project that it is in.
        name: its name in conditions, https://cloud.google.com/iam/docs/conditions-resource-attributes.
        type: its type there, such as `sqladmin.googleapis.com/Instance`.
        member_type: the Terraform type of bindings on it alone, "" if there is none.
        member_key: the value by which those bindings name it.
    """

    project: str
    name: str
    type: str
    member_type: str = ""
    member_key: str = ""

    @property
    def service(self) -> str:
        """The API that it belongs to."""
        return self.type.partition("/")[0]


def member_of(email: str) -> str:
    """How bindings name the person or service account of an address."""
    return f"{'serviceAccount' if email.endswith('.gserviceaccount.com') else 'user'}:{email}"


def allows(cloud: Cloud, member: str, permission: str, target: Target) -> bool:
    """Whether the bindings in effect at this moment let a member do something.

    Args:
        cloud: where the bindings are.
        member: who, as bindings name it: `serviceAccount:ADDRESS`, `user:ADDRESS`, `allUsers`; a person's address is in
            the domain that bindings may name too.
        permission: what, such as `secretmanager.versions.access`.
        target: on what.
    """
    on_project = cloud.store.all(ProjectMember.type)
    bindings = [(ProjectMember.type, one) for one in on_project if text(one, "project") == target.project]
    if target.member_type:
        own = cloud.store.all(target.member_type)
        bindings += [
            (target.member_type, one) for one in own if text(one, "id").startswith(f"{target.member_key}/roles/")
        ]
    members = {member, "allUsers", "allUsers" if member == "allUsers" else "allAuthenticatedUsers"}
    if member.startswith("user:"):
        members.add(f"domain:{member.rpartition('@')[2]}")
    return any(
        text(binding, "member") in members
        and permits(text(binding, "role"), permission)
        and _condition_holds(binding, target)
        and is_old_enough(cloud, f"{kind} {text(binding, 'id')}", cloud.circumstances.delays.grant)
        for kind, binding in bindings
    )


def _condition_holds(binding: Object, target: Target) -> bool:
    context = {
        "request": {"time": datetime.now(UTC)},
        "resource": {"name": target.name, "type": target.type, "service": target.service},
    }
    return all(
        cel.evaluate(text(condition, "expression"), context) is True for condition in objects(binding, "condition")
    )


class ServiceAccount(Resource):
    """An account for programs."""

    type = "google_service_account"
    api = Api("iam.googleapis.com", "Identity and Access Management (IAM) API")
    permissions = crud("iam.serviceAccounts")
    id_format = "projects/{project}/serviceAccounts/{email}"
    requires_replace = frozenset({"account_id", "project"})
    defaults: ClassVar[Mapping[str, Value]] = {"disabled": False}
    imports = ("projects/{project}/serviceAccounts/{email}", "{project}/{email}", "{email}")

    def identify(self, values: Object) -> str:
        """The id; the e-mail address follows from the account id."""
        project = text(values, "project")
        email = text(values, "email") or f"{text(values, 'account_id')}@{project}.iam.gserviceaccount.com"
        return self.id_format.format(project=project, email=email)

    def validate(self, config: Object) -> Iterator[Problem]:
        """6 to 30 characters: https://cloud.google.com/iam/docs/service-accounts-create."""
        yield from name_problem(
            config,
            "account_id",
            r"[a-z][a-z0-9-]{4,28}[a-z0-9]",
            "6-30 lower-case letters, digits and hyphens, a letter first, no hyphen last: "
            "https://cloud.google.com/iam/docs/service-accounts-create",
        )

    def known(self, cloud: Cloud, block: Block, values: Object) -> Object:
        """Its address follows from its id: https://cloud.google.com/iam/docs/service-account-types#user-managed."""
        known = super().known(cloud, block, values)
        project, account = text(known, "project"), values.get("account_id")
        email = f"{account}@{project}.iam.gserviceaccount.com" if isinstance(account, str) else None
        return known | {
            "email": email or UNKNOWN,
            "member": f"serviceAccount:{email}" if email else UNKNOWN,
        }

    @override
    def conflict(self, cloud: Cloud, values: Object) -> str:
        del cloud
        account, project = text(values, "account_id"), text(values, "project")
        return (
            f"Error creating service account: googleapi: Error 409: Service account {account} already exists within "
            f"project projects/{project}., alreadyExists"
        )

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Its address and its number follow from its name."""
        del cloud, config
        name = self.identify(planned)
        email = name.rpartition("/")[2]
        number = stable_number(name, digits=21)
        return {"email": email, "member": f"serviceAccount:{email}", "name": name, "unique_id": number}


def require_account(cloud: Cloud, email: str, project: str) -> None:
    """Refuses a service account of the project that does not exist; accounts of other projects are not known here.

    Raises:
        Refused: https://cloud.google.com/iam/docs/service-accounts-create
    """
    name = f"projects/{project}/serviceAccounts/{email}"
    if email.endswith(f"@{project}.iam.gserviceaccount.com") and not cloud.store.get(ServiceAccount.type, name):
        raise Refused(Problem(f"Error 400: service account {email} does not exist", "Create it first (depends_on)."))


class Member(Resource):
    """A binding of one role to one member; base of the types for each kind of resource. Takes effect late."""

    late = True
    idempotent = True
    target: ClassVar[str]

    def target_name(self, values: Object) -> str:
        """The name, in the id of the binding, of what the role is granted on."""
        raise NotImplementedError

    def known(self, cloud: Cloud, block: Block, values: Object) -> Object:
        """The project, if nobody says it, is that of a full name; only then that of the provider.

        https://registry.terraform.io/providers/hashicorp/google/latest/docs/resources/secret_manager_secret_iam
        """
        found, target = super().known(cloud, block, values), values.get(self.target)
        if "project" in found and not values.get("project"):
            named = re.match(r"projects/([^/]+)/", target) if isinstance(target, str) else None
            found["project"] = UNKNOWN if target is UNKNOWN else named[1] if named else found["project"]
        return found

    def identify(self, values: Object) -> str:
        """TARGET/ROLE/MEMBER, and TITLE/DESCRIPTION/EXPRESSION of the condition if there is one."""
        parts = [self.target_name(values), text(values, "role"), text(values, "member")]
        for condition in objects(values, "condition"):
            parts += [text(condition, name) for name in ("title", "description", "expression")]
        return "/".join(parts)

    def replaced_by(self, prior: Object, planned: Object) -> list[str]:
        """A binding never changes: it goes, and another comes."""
        return sorted(
            name
            for name in (self.target, "project", "role", "member", "condition")
            if planned.get(name) != prior.get(name)
        )

    def validate(self, config: Object) -> Iterator[Problem]:
        """Members and roles have a form: https://cloud.google.com/iam/docs/principal-identifiers."""
        yield from name_problem(
            config,
            "member",
            _MEMBER,
            "Write user:, group: or serviceAccount: and an address: https://cloud.google.com/iam/docs/principal-identifiers",
        )
        yield from name_problem(
            config, "role", r"(projects/[^/]+/|organizations/[^/]+/)?roles/[\w.]+", "Write it like roles/run.invoker."
        )

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """The account must exist, and a condition must be an expression that can be evaluated."""
        del config
        kind, _, email = text(planned, "member").partition(":")
        if kind == "serviceAccount":
            require_account(cloud, email, text(planned, "project") or cloud.project)
        for condition in objects(planned, "condition"):
            try:
                _condition_holds(planned, Target(project="", name="", type=""))
            except Exception as error:
                raise Refused(
                    Problem(f"Error 400: condition {text(condition, 'title')!r} is invalid: {error}")
                ) from error

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Notes since when there is the binding; `etag` is the version of the policy."""
        del config
        note_time(cloud, f"{self.type} {self.identify(planned)}")
        number = int(stable_number(self.type, self.identify(planned), digits=18))
        return {"etag": b64encode(number.to_bytes(8, "big")).decode()}


class ProjectMember(Member):
    """A role on the whole project, narrowed by a condition or not."""

    type = "google_project_iam_member"
    api = Api("cloudresourcemanager.googleapis.com", "Cloud Resource Manager API")
    permissions = policy("resourcemanager.projects")
    target = "project"

    def target_name(self, values: Object) -> str:
        """The project."""
        return text(values, "project")
