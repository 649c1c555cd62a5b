"""Permissions inside MLflow: plain environment, so that a reviewer sees in the plan who may do what.

There is no secret: the container takes a person's address from its own gate, and nobody has a password.
"""

from constructs import Construct

from stacks.constructs.expressions import local, string
from stacks.constructs.workload import Workload
from stacks.inputs import Placement
from stacks.settings import permissions as settings


class Permissions(Construct):
    """The settings as the image reads them, JSON; empty where there are no permissions."""

    def __init__(self, scope: Construct, id_: str, *, placement: Placement, inputs: settings.Permissions) -> None:
        super().__init__(scope, id_)
        prefix = f"{placement.prefix}permissions"
        enabled = local(self, f"{prefix}_enabled", inputs.enabled)
        default = local(self, f"{prefix}_default", inputs.default)
        admins = local(self, f"{prefix}_admins", inputs.admins)
        readers = local(self, f"{prefix}_readers", inputs.readers)
        teams = local(self, f"{prefix}_teams", inputs.teams)
        told = f"{{ default = {default}, admins = {admins}, readers = {readers}, teams = {teams} }}"
        self._value = string(f'{enabled} ? jsonencode({told}) : ""')

    def give(self, workload: Workload) -> None:
        """Tells a workload: the service, which asks at every request, and jobs, which migrate and check its tables."""
        workload.set({"PERMISSIONS": self._value})
