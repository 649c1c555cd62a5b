"""The meaning of Google's services on this machine: one module a service, one class a resource type."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from localcloud.resource import Cloud, Resource
from localcloud.services import orgpolicy, permissions
from localcloud.terraform.model import Object


def _types(module: ModuleType) -> Iterator[type[Resource]]:
    """The resource types that a module defines; a base of several has no type."""
    for _, one in inspect.getmembers(module, inspect.isclass):
        if issubclass(one, Resource) and one.__module__ == module.__name__ and hasattr(one, "type"):
            yield one


RESOURCES = tuple(
    found
    for module in pkgutil.iter_modules(__path__)
    for found in _types(importlib.import_module(f"{__name__}.{module.name}"))
)


def authorize(cloud: Cloud, resource: Resource, verb: str, values: Object) -> None:
    """Refuses a call that the person who deploys is not permitted, or that the organization forbids.

    Raises:
        Refused: with what to do.
    """
    permissions.require(cloud, resource, verb, values)
    if verb in {"create", "update"}:
        orgpolicy.enforce(cloud, resource.type, values)
