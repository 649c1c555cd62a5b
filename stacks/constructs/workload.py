"""The needs of a container of this project's image, whether a service or a job runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cdktf import Token

from stacks import names
from stacks.constructs.expressions import add_name_value_blocks, string
from stacks.resources import pin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cdktf import ITerraformDependable, TerraformResource

    from stacks.addresses import Address
    from stacks.constructs.secrets import Secret
    from stacks.inputs import Account, StringMap

_SOCKETS: Final = "cloudsql"


class Workload:
    """Built up by the features of the system: each adds its variables, secrets and grants, and what it waits for.

    Attributes:
        account: Who it runs as; features grant it what it needs.
        prefix: Of the logical ids of its grants; none for the service.
        for_each: The expression of a map with a key for each of several workloads that differ in little.
        ready: What must exist before a container can start.
    """

    def __init__(self, *, account: Account, prefix: str = "", for_each: str = "") -> None:
        self.account = account
        self.prefix = prefix
        self.for_each = for_each
        self.ready: list[ITerraformDependable] = []
        self._variables: dict[str, str] = {}
        self._unknown: StringMap = {}
        self._secrets: dict[str, Secret] = {}
        self._files: list[tuple[str, Secret, str, str]] = []
        self._instances: list[str] = []
        self._additions: list[Callable[[TerraformResource, str], None]] = []

    def set(self, variables: Mapping[str, str]) -> None:
        """Sets plain environment variables, readable in every plan."""
        self._variables |= variables

    def set_of_user(self, variables: StringMap) -> None:
        """Sets the variables that the user adds; a module knows their names only when Terraform runs."""
        if Token.is_unresolved(variables):
            self._unknown = variables
        else:
            self.set(variables)

    def set_secret(self, variable: str, secret: Secret) -> None:
        """Sets an environment variable to the value of a secret, which the account may then read."""
        self._let_read(secret)
        self._secrets[variable] = secret

    def mount_secret(self, volume: str, secret: Secret, *, folder: str, file: str) -> None:
        """Mounts a secret as a file, which the account may then read."""
        self._let_read(secret)
        self._files.append((volume, secret, folder, file))

    def mount_sockets(self, connection_name: str) -> None:
        """Mounts the sockets of a Cloud SQL instance."""
        self._instances.append(connection_name)

    def enter(self, add: Callable[[TerraformResource, str], None]) -> None:
        """Lets `add` write further blocks into the template: it gets the resource, and the path of the template."""
        self._additions.append(add)

    def grant(self, grant: TerraformResource, address: Address, *, for_each: str = "", condition: str = "") -> None:
        """Adds a grant to the workload's account, and waits for it.

        Args:
            grant: What grants it.
            address: Its address, without the prefix.
            for_each: The expression of the workloads that get it, if those are not all.
            condition: The expression of whether there is one.
        """
        pin(grant, address.of(self.prefix))
        if keys := for_each or self.for_each:
            some = f"{{ for key, it in {keys} : key => it if {condition} }}"
            grant.add_override("for_each", string(some if condition else keys))
        elif condition:
            grant.add_override("count", string(f"{condition} ? 1 : 0"))
        self.wait_for(grant)

    def wait_for(self, *things: ITerraformDependable) -> None:
        """Adds what must exist before a container can start."""
        self.ready += things

    def add_to(self, resource: TerraformResource, template: str) -> None:
        """Writes environment and volumes into the first container of a template.

        Services and jobs spell them alike, and the bindings have classes of their own for each.

        Args:
            resource: A Cloud Run service or job.
            template: The path of the block that has `containers` and `volumes`.
        """
        container = f"{template}.containers.0"
        resource.add_override(f"{container}.env", self._environment())
        if self._unknown:
            add_name_value_blocks(resource, container, "env", self._unknown)
        resource.add_override(f"{container}.volume_mounts", self._volume_mounts())
        resource.add_override(f"{template}.volumes", self._volumes())
        for add in self._additions:
            add(resource, template)

    def _let_read(self, secret: Secret) -> None:
        if secret in (*self._secrets.values(), *(one for _, one, _, _ in self._files)):
            return
        self.grant(secret.accessor(self.account, id_=f"{self.prefix}accessor"), secret.accessor_address)

    def _environment(self) -> list[dict[str, Any]]:
        return [
            *({"name": name, "value": value} for name, value in sorted(self._variables.items())),
            *(
                {
                    "name": name,
                    "value_source": {"secret_key_ref": {"secret": secret.name, "version": secret.version}},
                }
                for name, secret in self._secrets.items()
            ),
        ]

    # The sockets are last, as Cloud Run answers them; first, they would change places with the files at every plan:
    # https://github.com/hashicorp/terraform-provider-google/issues/23322

    def _volumes(self) -> list[dict[str, Any]]:
        files = [
            {
                "name": volume,
                "secret": {"secret": secret.name, "items": [{"path": file, "version": secret.version}]},
            }
            for volume, secret, _, file in self._files
        ]
        sockets = [{"name": _SOCKETS, "cloud_sql_instance": {"instances": self._instances}}]
        return [*files, *(sockets if self._instances else [])]

    def _volume_mounts(self) -> list[dict[str, str]]:
        files = [{"name": volume, "mount_path": folder} for volume, _, folder, _ in self._files]
        sockets = [{"name": _SOCKETS, "mount_path": names.CLOUDSQL_FOLDER}]
        return [*files, *(sockets if self._instances else [])]
