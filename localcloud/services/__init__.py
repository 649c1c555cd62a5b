"""What Google's services mean on this machine: one module a service, one class a resource type."""

from localcloud.resource import Cloud, Resource
from localcloud.services import (
    artifactregistry,
    iam,
    orgpolicy,
    permissions,
    run,
    secretmanager,
    serviceusage,
    sql,
    sql_parts,
    storage,
)
from localcloud.terraform.model import Object

RESOURCES: tuple[type[Resource], ...] = (
    artifactregistry.Repository,
    artifactregistry.RepositoryMember,
    iam.ProjectMember,
    iam.ServiceAccount,
    run.Service,
    run.ServiceMember,
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
