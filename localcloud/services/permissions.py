"""The permissions of the deploying person.

Each resource type says which permissions its calls need; which role has which permission is in `iam.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.services import iam
from localcloud.terraform.model import Object, Problem, Refused, text

if TYPE_CHECKING:
    from localcloud.resource import Cloud, Resource


def require(cloud: Cloud, resource: Resource, verb: str, values: Object) -> None:
    """Refuses what the person who deploys is not permitted, if somebody said who that is.

    Raises:
        Refused: naming each permission that is missing.
    """
    deployer = cloud.circumstances.deployer
    project = text(values, "project") or cloud.project
    target = iam.Target(project=project, name=f"projects/{project}", type="cloudresourcemanager.googleapis.com/Project")
    missing = [
        permission
        for permission in (resource.permissions_for(verb, values) if deployer else ())
        if not iam.allows(cloud, deployer, permission, target)
    ]
    if missing:
        raise Refused(
            *(
                Problem(
                    f"googleapi: Error 403: Permission '{permission}' denied on resource 'projects/{project}' "
                    "(or it may not exist)., forbidden",
                    f"{deployer} needs a role with {permission} on the project: https://cloud.google.com/iam/docs/roles-permissions",
                )
                for permission in missing
            )
        )
