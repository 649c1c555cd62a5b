"""Errors of the container engine, as Terraform shows them."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

from containers.engine import EngineError
from localcloud.terraform.model import Problem, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

_Arguments = ParamSpec("_Arguments")


def engine_errors_shown(method: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    """Lets Terraform show what the container engine says, such as why an image cannot be built."""

    @wraps(method)
    def shown(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> None:
        try:
            method(*arguments, **options)
        except EngineError as error:
            raise Refused(Problem("The container engine failed", str(error))) from error

    return shown
