"""What Google's services mean on this machine: one module a service, one class a resource type."""

from localcloud.resource import Resource
from localcloud.services import artifactregistry, iam, run, secretmanager, serviceusage, sql, storage

RESOURCES: tuple[type[Resource], ...] = (
    artifactregistry.Repository,
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
