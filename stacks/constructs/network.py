"""The VPC network of a deployment's database, if it is in one: what instance, connection and workloads make of that.

Google's pages promise a private address by TCP alone, without the proxy behind the socket in /cloudsql:
https://cloud.google.com/sql/docs/postgres/connect-run#private-ip. The socket stays mounted, and unused.
"""

from typing import Final

from cdktf import IResolvable, TerraformResource, TerraformStack, Token
from constructs import Construct

from image.mlflow_cloudrun import tls
from stacks.constructs.expressions import add_block, flag, shared_local, string
from stacks.constructs.workload import Workload
from stacks.inputs import InstanceInputs, Placement

_PORTS: Final = {"postgresql": 5432, "mysql": 3306}


class Network:
    """What depends on the network.

    Attributes:
        vpc: The expression of its id; empty for none.
    """

    def __init__(self, scope: Construct, placement: Placement) -> None:
        self._given = placement.network
        self.vpc, self._address, self._authority = (
            shared_local(TerraformStack.of(scope), f"{placement.prefix}network_{name}", value)
            for name, value in (
                ("vpc", placement.network.vpc),
                ("database_address", placement.network.database_address),
                ("database_ca", placement.network.database_ca),
            )
        )

    def choose(self, inside: str, outside: str) -> str:
        """An argument that differs: plain where the settings are known, as scanners read it."""
        if Token.is_unresolved(self._given.vpc):
            return string(f'{self.vpc} != "" ? "{inside}" : "{outside}"')
        return inside if self._given.vpc else outside

    @property
    def argument(self) -> str | None:
        """The network as an argument, which is left out where there is none."""
        return (
            string(f"one(compact([{self.vpc}]))") if Token.is_unresolved(self._given.vpc) else self._given.vpc or None
        )

    @property
    def is_absent(self) -> bool | IResolvable:
        """Whether there is none, as an argument."""
        return flag(f'{self.vpc} == ""') if Token.is_unresolved(self._given.vpc) else not self._given.vpc

    @property
    def turn(self) -> str:
        """An expression of a number, another one for each way to the database: what names it is then written again."""
        digits = f'substr(sha256("${{{self.vpc}}} ${{{self._address}}}"), 0, 8)'
        return f'{self.vpc} == "" ? 0 : parseint({digits}, 16)'

    def host(self, instance: InstanceInputs) -> str:
        """An expression of what stands in a connection string for the host: `ADDRESS:PORT`, or nothing for a socket."""
        address = f"coalesce({self._address}, {instance.address})"
        port = f'{instance.engine} == "mysql" ? {_PORTS["mysql"]} : {_PORTS["postgresql"]}'
        return f'{self.vpc} == "" ? "" : "${{{address}}}:${{{port}}}"'

    def query(self, instance: InstanceInputs, socket: str) -> str:
        """An expression of what stands behind its question mark.

        Args:
            instance: The instance.
            socket: What stands there for the socket, a template.
        """
        postgresql, mysql = tls.QUERIES.values()
        return f'{self.vpc} == "" ? "{socket}" : {instance.engine} == "mysql" ? "{mysql}" : "{postgresql}"'

    def join(self, workload: Workload, instance: InstanceInputs) -> None:
        """Lets a workload into the network, and tells it who may answer there."""
        authority = f"coalesce({self._authority}, {instance.authority})"
        workload.set({tls.VARIABLE: string(f'{self.vpc} == "" ? "" : {authority}')})
        workload.enter(self._add_to)

    def _add_to(self, resource: TerraformResource, template: str) -> None:
        interface = {"network": self._given.vpc, "subnetwork": self._given.subnet}
        content = {"egress": "PRIVATE_RANGES_ONLY", "network_interfaces": [interface]}
        add_block(resource, f"{template}.vpc_access", content, given=self._given.vpc, expression=self.vpc)
