"""The permissions of roles, as far as they are used here.

Left out: roles that no check here asks for; they can be granted, and permit nothing.
https://cloud.google.com/iam/docs/roles-permissions
"""

from __future__ import annotations

from fnmatch import fnmatchcase

_OBJECTS = {f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list", "update")}
_ACCOUNTS = {f"iam.serviceAccounts.{verb}" for verb in ("get", "list")}
_APIS = {f"serviceusage.services.{verb}" for verb in ("disable", "enable", "get", "list")}
_EXECUTIONS = {f"run.executions.{verb}" for verb in ("cancel", "delete", "get", "list")}
_PROJECTS = {f"resourcemanager.projects.{verb}" for verb in ("get", "getIamPolicy", "setIamPolicy")}
_PERMISSIONS: dict[str, set[str]] = {
    "roles/artifactregistry.admin": {"artifactregistry.*"},
    "roles/artifactregistry.reader": {"artifactregistry.repositories.downloadArtifacts"},
    "roles/artifactregistry.writer": {
        f"artifactregistry.repositories.{verb}Artifacts" for verb in ("download", "upload")
    },
    "roles/cloudkms.admin": {
        *(f"cloudkms.{kind}.*" for kind in ("cryptoKeys", "keyRings")),
        "cloudkms.cryptoKeyVersions.destroy",
    },
    "roles/cloudkms.cryptoKeyEncrypterDecrypter": {
        f"cloudkms.cryptoKeyVersions.{verb}" for verb in ("useToDecrypt", "useToEncrypt")
    },
    "roles/cloudscheduler.admin": {"cloudscheduler.*"},
    "roles/cloudsql.admin": {"cloudsql.*"},
    "roles/cloudsql.client": {"cloudsql.instances.connect", "cloudsql.instances.get"},
    "roles/cloudsql.editor": {"cloudsql.instances.connect", "cloudsql.instances.get"},
    "roles/cloudsql.instanceUser": {"cloudsql.instances.get", "cloudsql.instances.login"},
    "roles/editor": {"cloudsql.instances.connect", "artifactregistry.repositories.downloadArtifacts"},
    "roles/iam.serviceAccountAdmin": _ACCOUNTS
    | {f"iam.serviceAccounts.{it}" for it in ("create", "delete", "getIamPolicy", "setIamPolicy", "update")},
    "roles/iam.serviceAccountTokenCreator": {"iam.serviceAccounts.signBlob"},
    "roles/iam.serviceAccountUser": {*_ACCOUNTS, "iam.serviceAccounts.actAs"},
    "roles/iap.admin": {f"iap.webServices.{verb}IamPolicy" for verb in ("get", "set")},
    "roles/iap.httpsResourceAccessor": {"iap.webServiceVersions.accessViaIAP"},
    "roles/monitoring.admin": {"monitoring.*"},
    "roles/monitoring.alertPolicyEditor": {"monitoring.alertPolicies.*"},
    "roles/monitoring.dashboardEditor": {"monitoring.dashboards.*"},
    "roles/monitoring.editor": {"monitoring.*"},
    "roles/monitoring.notificationChannelEditor": {"monitoring.notificationChannels.*"},
    "roles/monitoring.uptimeCheckConfigEditor": {"monitoring.uptimeCheckConfigs.*"},
    "roles/resourcemanager.projectIamAdmin": _PROJECTS,
    "roles/run.admin": {"run.*"},
    "roles/run.developer": {
        *(
            f"run.{kind}.{verb}"
            for kind in ("jobs", "services")
            for verb in ("create", "delete", "get", "list", "update")
        ),
        *_EXECUTIONS,
        "run.jobs.run",
        "run.jobs.runWithOverrides",
    },
    "roles/run.invoker": {"run.jobs.run", "run.routes.invoke"},
    "roles/run.jobsExecutor": {"run.executions.cancel", "run.jobs.run"},
    "roles/run.jobsExecutorWithOverrides": {"run.executions.cancel", "run.jobs.run", "run.jobs.runWithOverrides"},
    "roles/run.viewer": {"run.executions.get", "run.executions.list", *(f"run.jobs.{it}" for it in ("get", "list"))},
    "roles/secretmanager.admin": {"secretmanager.*"},
    "roles/secretmanager.secretAccessor": {"secretmanager.versions.access"},
    "roles/serviceusage.serviceUsageAdmin": _APIS,
    # Of objects, owners, editors and viewers of a project see what the bucket's own policy gives them, no more:
    # https://cloud.google.com/storage/docs/access-control/iam-roles
    "roles/storage.admin": {"storage.buckets.*", *_OBJECTS},
    "roles/storage.bucketViewer": {"storage.buckets.get"},
    "roles/storage.objectAdmin": _OBJECTS,
    "roles/storage.objectCreator": {"storage.objects.create"},
    "roles/storage.objectUser": _OBJECTS,
    "roles/storage.objectViewer": {"storage.objects.get", "storage.objects.list"},
}


def permits(role: str, permission: str) -> bool:
    """Whether a role has a permission."""
    if role == "roles/owner":
        return not permission.startswith("storage.objects.")
    return any(fnmatchcase(permission, pattern) for pattern in _PERMISSIONS.get(role, ()))
