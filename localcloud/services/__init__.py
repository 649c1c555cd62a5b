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
    sql.Database,
    sql.Instance,
    sql.User,
    storage.Bucket,
    storage.BucketMember,
)


def admit(cloud: Cloud, type_name: str, verb: str, values: Object) -> None:
    """Refuses a call that the person who deploys is not permitted, or that the organization forbids.

    Raises:
        Refused: with what to do.
    """
    permissions.require(cloud, type_name, verb, values)
    if verb in {"create", "update"}:
        orgpolicy.obey(cloud, type_name, values)
