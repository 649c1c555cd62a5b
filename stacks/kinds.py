"""The types of resources that this project uses: the API behind each, and why it is there.

A new type is a row here. The APIs that the bootstrap stack enables and that the modules name, and the tables of the
pages follow from it; a type that a document uses and that has no row is refused at synthesis.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from constructs import Construct

from stacks.resources import addresses_in


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """The facts about a resource type.

    Attributes:
        api: The Google API that serves it, without its domain; empty for what calls none, or one that is always on.
        why: What it is for, a sentence.
    """

    api: str
    why: str


KINDS: Final = {
    "google_artifact_registry_repository": Kind(
        api="artifactregistry", why="Images; tags cannot be moved, old untagged ones are deleted."
    ),
    "google_cloud_run_v2_job": Kind(
        api="run", why="Garbage collection, archival and migration: the service's image with other arguments."
    ),
    "google_cloud_run_v2_job_iam_member": Kind(api="run", why="Lets the schedules start their jobs."),
    "google_cloud_run_v2_service": Kind(
        api="run", why="MLflow behind oauth2-proxy in one container, with CPU that is always on."
    ),
    "google_cloud_run_v2_service_iam_member": Kind(
        api="run",
        why="Lets the public reach the sign-in, or Identity-Aware Proxy alone; none when the invoker check is off.",
    ),
    "google_cloud_scheduler_job": Kind(api="cloudscheduler", why="Starts a job on its schedule."),
    "google_iap_web_cloud_run_service_iam_member": Kind(
        api="iap", why="Lets people, accounts and groups pass Identity-Aware Proxy, where it is the gate."
    ),
    "google_monitoring_alert_policy": Kind(
        api="monitoring", why="Notifies somebody of errors, slowness, reached limits and failed jobs."
    ),
    "google_monitoring_dashboard": Kind(api="monitoring", why="Requests, instances and database on one page."),
    "google_monitoring_notification_channel": Kind(api="monitoring", why="Addresses that alerts are sent to."),
    "google_monitoring_uptime_check_config": Kind(
        api="monitoring", why="Calls the service from outside; off by default, because it prevents scale to zero."
    ),
    "google_project_iam_member": Kind(
        api="cloudresourcemanager",
        why="Lets service and jobs connect and log in to this one instance; the roles exist on projects only.",
    ),
    "google_project_service": Kind(api="", why="The APIs that both stacks call, one each; `destroy` leaves them on."),
    "google_secret_manager_secret": Kind(
        api="secretmanager", why="Connection string, sign-in's secrets, and the key of what MLflow stores encrypted."
    ),
    "google_secret_manager_secret_iam_member": Kind(
        api="secretmanager", why="Lets the service read each secret, and no other of the project."
    ),
    "google_secret_manager_secret_version": Kind(
        api="secretmanager", why="The value in use, write-only; the service refers to it by number."
    ),
    "google_service_account": Kind(
        api="iam", why="The identities of service, jobs and schedules; nothing else runs as them."
    ),
    # The binding is of the API iam, as accounts are; what it allows is of this one.
    "google_service_account_iam_member": Kind(
        api="iamcredentials", why="Lets the service sign links to artifacts as itself; none unless it hands them out."
    ),
    "google_sql_database": Kind(api="sqladmin", why="The database `mlflow`."),
    "google_sql_database_instance": Kind(
        api="sqladmin", why="Cloud SQL; encrypted connections only, no authorized networks."
    ),
    "google_sql_user": Kind(
        api="sqladmin", why="The user of the database, with a write-only password, and the accounts that log in."
    ),
    "google_storage_bucket": Kind(api="storage", why="Private; deleted and overwritten objects can be restored."),
    "google_storage_bucket_iam_member": Kind(
        api="storage",
        why="The service reads artifacts, or writes them for clients; writers write, jobs delete and archive.",
    ),
    "random_password": Kind(api="", why="Database password and cookie secret; they exist only while Terraform runs."),
    "terraform_data": Kind(
        api="", why="No cloud resource: refuses a destroy while data are protected, and a move to another region."
    ),
}


def kind_of(type_: str) -> Kind:
    """The row of a type.

    Raises:
        ValueError: There is none.
    """
    if type_ not in KINDS:
        raise ValueError(
            f"{type_} has no row in KINDS of stacks/kinds.py: say which API serves it, and why it is there"
        )
    return KINDS[type_]


def apis_of(types: Iterable[str]) -> list[str]:
    """The names of the APIs that serve some types, in alphabetical order."""
    return sorted({f"{kind.api}.googleapis.com" for kind in map(kind_of, types) if kind.api})


def types_in(scope: Construct) -> set[str]:
    """The types of all resources below a construct."""
    return {address.type for address in addresses_in(scope)}
