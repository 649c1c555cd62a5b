"""What Google's services mean on this machine: one module a service, one class a resource type."""

from localcloud.resource import Cloud, Resource
from localcloud.services import (
    alerting,
    artifactregistry,
    cloudscheduler,
    compute,
    dashboards,
    iam,
    kms,
    monitoring,
    orgpolicy,
    permissions,
    run,
    run_jobs,
    secretmanager,
    serviceusage,
    sql,
    sql_parts,
    storage,
)
from localcloud.terraform.model import Object

RESOURCES: tuple[type[Resource], ...] = (
    alerting.AlertPolicy,
    artifactregistry.Repository,
    artifactregistry.RepositoryMember,
    cloudscheduler.Job,
    compute.Address,
    compute.BackendService,
    compute.Certificate,
    compute.EndpointGroup,
    compute.ForwardingRule,
    compute.HttpProxy,
    compute.HttpsProxy,
    compute.SecurityPolicy,
    compute.UrlMap,
    dashboards.Dashboard,
    iam.ProjectMember,
    iam.ServiceAccount,
    kms.CryptoKey,
    kms.CryptoKeyMember,
    kms.KeyRing,
    monitoring.NotificationChannel,
    monitoring.UptimeCheck,
    run.Service,
    run.ServiceMember,
    run_jobs.Job,
    run_jobs.JobMember,
    secretmanager.Secret,
    secretmanager.SecretMember,
    secretmanager.SecretVersion,
    serviceusage.ProjectService,
    sql.Instance,
    sql_parts.Database,
    sql_parts.User,
    storage.Bucket,
    storage.BucketMember,
)


def authorize(cloud: Cloud, resource: Resource, verb: str, values: Object) -> None:
    """Refuses a call that the person who deploys is not permitted, or that the organization forbids.

    Raises:
        Refused: with what to do.
    """
    permissions.require(cloud, resource, verb, values)
    if verb in {"create", "update"}:
        orgpolicy.enforce(cloud, resource.type, values)
