"""What Google's services mean on this machine: one module a service, one class a resource type."""

import inspect
from collections.abc import Iterator
from types import ModuleType

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

_MODULES = (
    alerting,
    artifactregistry,
    cloudscheduler,
    compute,
    dashboards,
    iam,
    kms,
    monitoring,
    run,
    run_jobs,
    secretmanager,
    serviceusage,
    sql,
    sql_parts,
    storage,
)


def _types(module: ModuleType) -> Iterator[type[Resource]]:
    """The resource types that a module defines; a base of several has no type."""
    for _, one in inspect.getmembers(module, inspect.isclass):
        if issubclass(one, Resource) and one.__module__ == module.__name__ and hasattr(one, "type"):
            yield one


RESOURCES = tuple(found for module in _MODULES for found in _types(module))


def authorize(cloud: Cloud, resource: Resource, verb: str, values: Object) -> None:
    """Refuses a call that the person who deploys is not permitted, or that the organization forbids.

    Raises:
        Refused: with what to do.
    """
    permissions.require(cloud, resource, verb, values)
    if verb in {"create", "update"}:
        orgpolicy.enforce(cloud, resource.type, values)
