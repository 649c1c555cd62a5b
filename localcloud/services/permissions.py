"""What the person who deploys must be permitted: the calls that each resource type makes, as IAM's permissions.

Which role has which permission is in `iam.py`. https://cloud.google.com/iam/docs/permissions-reference
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.services import iam
from localcloud.terraform.model import Object, Problem, Refused, text

if TYPE_CHECKING:
    from localcloud.resource import Cloud


def _crud(kind: str, **others: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    usual = {verb: (f"{kind}.{verb}",) for verb in ("create", "update", "delete")} | {"read": (f"{kind}.get",)}
    return usual | others


def _policy(kind: str) -> dict[str, tuple[str, ...]]:
    change = (f"{kind}.getIamPolicy", f"{kind}.setIamPolicy")
    return {"create": change, "update": change, "delete": change, "read": change[:1]}


_VERSIONS = "secretmanager.versions"
CALLS: dict[str, dict[str, tuple[str, ...]]] = {
    "google_artifact_registry_repository": _crud("artifactregistry.repositories"),
    "google_artifact_registry_repository_iam_member": _policy("artifactregistry.repositories"),
    "google_cloud_run_v2_service": _crud("run.services"),
    "google_cloud_run_v2_service_iam_member": _policy("run.services"),
    "google_project_iam_member": _policy("resourcemanager.projects"),
    "google_project_service": {
        "create": ("serviceusage.services.enable",),
        "update": (),
        "delete": ("serviceusage.services.disable",),
        "read": ("serviceusage.services.list",),
    },
    "google_secret_manager_secret": _crud("secretmanager.secrets"),
    "google_secret_manager_secret_iam_member": _policy("secretmanager.secrets"),
    "google_secret_manager_secret_version": {
        "create": (f"{_VERSIONS}.add",),
        "update": (f"{_VERSIONS}.enable", f"{_VERSIONS}.disable"),
        "delete": (f"{_VERSIONS}.disable",),
        "read": (f"{_VERSIONS}.get",),
    },
    "google_service_account": _crud("iam.serviceAccounts"),
    "google_sql_database": _crud("cloudsql.databases"),
    "google_sql_database_instance": _crud("cloudsql.instances"),
    "google_sql_user": _crud("cloudsql.users", read=("cloudsql.users.list",)),
    "google_storage_bucket": _crud("storage.buckets"),
    "google_storage_bucket_iam_member": _policy("storage.buckets"),
}
"""Resource type -> create, read, update or delete -> the permissions for it."""


def needed(type_name: str, verb: str, values: Object) -> tuple[str, ...]:
    """The permissions for one change of one resource, or for reading it."""
    permissions = CALLS[type_name][verb]
    if type_name == "google_cloud_run_v2_service" and verb in {"create", "update"}:
        # Whoever deploys lets the revision act as the account: https://cloud.google.com/run/docs/reference/iam/roles
        permissions += ("iam.serviceAccounts.actAs",)
        if values.get("invoker_iam_disabled") is True:
            permissions += ("run.services.setIamPolicy",)
    return permissions


def require(cloud: Cloud, type_name: str, verb: str, values: Object) -> None:
    """Refuses what the person who deploys is not permitted, if somebody said who that is.

    Raises:
        Refused: naming each permission that is missing.
    """
    deployer = cloud.circumstances.deployer
    project = text(values, "project") or cloud.project
    target = iam.Target(project=project, name=f"projects/{project}", type="cloudresourcemanager.googleapis.com/Project")
    missing = [
        permission
        for permission in (needed(type_name, verb, values) if deployer else ())
        if not iam.allows(cloud, deployer, permission, target)
    ]
    if missing:
        raise Refused(
            *(
                Problem(
                    f"googleapi: Error 403: Permission '{permission}' denied on resource 'projects/{project}' "
                    "(or it may not exist)., forbidden",
                    f"{deployer} needs a role with {permission}: the README lists the roles of who deploys.",
                )
                for permission in missing
            )
        )
