"""Organization policies: what an organization forbids in all its projects, whoever asks, and so can stop a deployment.

The refusals are in the words that people meet. Left out: who may set a policy, and exceptions by tag.
https://cloud.google.com/resource-manager/docs/organization-policy/org-policy-constraints
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.terraform.model import Object, Problem, Refused, at, objects, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.resource import Cloud

_KEYS: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "google_artifact_registry_repository": ("artifactregistry", ("kms_key_name",)),
    "google_cloud_run_v2_job": ("run", ("template", 0, "template", 0, "encryption_key")),
    "google_cloud_run_v2_service": ("run", ("template", 0, "encryption_key")),
    "google_secret_manager_secret": (
        "secretmanager",
        ("replication", 0, "user_managed", 0, "replicas", 0, "customer_managed_encryption", 0, "kms_key_name"),
    ),
    "google_sql_database_instance": ("sqladmin", ("encryption_key_name",)),
    "google_storage_bucket": ("storage", ("encryption", 0, "default_kms_key_name")),
}
"""type -> its API without its domain, and where it names its key."""
_INGRESS = {
    "INGRESS_TRAFFIC_ALL": "all",
    "INGRESS_TRAFFIC_INTERNAL_ONLY": "internal",
    "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER": "internal-and-cloud-load-balancing",
}


def enforce(cloud: Cloud, type_name: str, values: Object) -> None:
    """Refuses what a policy of the organization forbids.

    Raises:
        Refused: in Google's words, with the setting or the exception that lets it pass.
    """
    problems = list(_problems(cloud, type_name, values))
    if problems:
        raise Refused(*problems)


def _problems(cloud: Cloud, type_name: str, values: Object) -> Iterator[Problem]:
    policies, project = cloud.circumstances.policies, text(values, "project") or cloud.project
    domains = policies.get("iam.allowedPolicyMemberDomains")
    if domains is not None and type_name.endswith("_iam_member") and not _is_permitted(text(values, "member"), domains):
        yield Problem(
            "googleapi: Error 400: One or more users named in the policy do not belong to a permitted customer, "
            "perhaps due to an organization policy., failedPrecondition",
            "Domain-restricted sharing (constraints/iam.allowedPolicyMemberDomains) admits members of the organization "
            "alone. For allUsers: set invoker_iam_disabled of the service, which needs no grant. "
            "https://cloud.google.com/run/docs/authenticating/public",
        )
    addresses = at(values, "settings", 0, "ip_configuration", 0, "ipv4_enabled")
    if "sql.restrictPublicIp" in policies and type_name == "google_sql_database_instance" and addresses is not False:
        yield Problem(
            f"Error, failed to create instance {text(values, 'name')}: googleapi: Error 400: Organization Policy check "
            "failure: the external IP of this instance violates the constraints/sql.restrictPublicIp enforced at the "
            f"{cloud.project_number(project)} project., orgPolicyViolation",
            "Give it an address in a VPC network instead: ipv4_enabled = false and private_network. "
            "https://cloud.google.com/sql/docs/postgres/connection-org-policy",
        )
    allowed = policies.get("gcp.resourceLocations")
    for location in _locations(values) if allowed is not None else ():
        if not any(_is_in(location, value) for value in allowed or ()):
            yield Problem(
                f"googleapi: Error 400: '{location}' violates constraint 'constraints/gcp.resourceLocations' on the "
                f"resource 'projects/{project}'., failedPrecondition",
                f"The organization allows {', '.join(allowed or ())}: set region to one of these. "
                "https://cloud.google.com/resource-manager/docs/organization-policy/defining-locations",
            )
    yield from _problems_of_keys(cloud, type_name, values, project)
    if type_name == "google_cloud_run_v2_service":
        yield from _problems_of_service(cloud, values, project)


def _problems_of_keys(cloud: Cloud, type_name: str, values: Object, project: str) -> Iterator[Problem]:
    service, path = _KEYS.get(type_name, ("", ()))
    denied = cloud.circumstances.policies.get("gcp.restrictNonCmekServices", ())
    if f"{service}.googleapis.com" in denied and not text(values, *path):
        yield Problem(
            "googleapi: Error 412: Request is disallowed by organization's constraints/gcp.restrictNonCmekServices "
            f"constraint for projects/{project}, which demands a customer-managed key of {service}.googleapis.com.",
            "Name a key. https://cloud.google.com/kms/docs/cmek-org-policy",
        )


def _problems_of_service(cloud: Cloud, values: Object, project: str) -> Iterator[Problem]:
    policies = cloud.circumstances.policies
    ingress = _INGRESS.get(text(values, "ingress"), "all")
    if ingress not in policies.get("run.allowedIngress", (ingress,)):
        yield Problem(
            f"googleapi: Error 400: Constraint constraints/run.allowedIngress violated for projects/{project}: the "
            f"ingress of the service is {ingress}.",
            "Set ingress to INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER, with a load balancer in front, or to "
            "INGRESS_TRAFFIC_INTERNAL_ONLY. https://cloud.google.com/run/docs/securing/ingress",
        )
    if "run.managed.requireInvokerIam" in policies and values.get("invoker_iam_disabled") is True:
        yield Problem(
            "googleapi: Error 400: Operation denied by org policy on resource: "
            '["constraints/run.managed.requireInvokerIam": "The Invoker IAM check must not be disabled."].',
            "Leave invoker_iam_disabled false, and grant roles/run.invoker to allUsers, which domain-restricted "
            "sharing must admit. https://cloud.google.com/run/docs/securing/managing-access#invoker_check",
        )


def _is_permitted(member: str, domains: tuple[str, ...]) -> bool:
    kind, _, name = member.partition(":")
    if kind in {"user", "group", "domain"}:
        return name.rpartition("@")[2] in domains
    return kind not in {"allUsers", "allAuthenticatedUsers"}


def _locations(values: Object) -> Iterator[str]:
    yield from filter(None, (text(values, name).lower() for name in ("location", "region")))
    for replication in objects(values, "replication"):
        for managed in objects(replication, "user_managed"):
            yield from (text(replica, "location") for replica in objects(managed, "replicas"))


def _is_in(location: str, value: str) -> bool:
    """A value is a location, or a group like in:europe-west1-locations, in:europe-locations or in:eu-locations."""
    group = value.removeprefix("in:").removesuffix("-locations").replace("eu", "europe", value == "in:eu-locations")
    return location == group or (value.startswith("in:") and location.startswith(f"{group}-"))
