"""A secret, its version in use, and who may read it."""

from collections.abc import Sequence
from dataclasses import dataclass

from cdktf import ITerraformDependable, TerraformResourceLifecycle
from cdktf_cdktf_provider_google.secret_manager_secret import (
    SecretManagerSecret,
    SecretManagerSecretReplication,
    SecretManagerSecretReplicationUserManaged,
    SecretManagerSecretReplicationUserManagedReplicas,
)
from cdktf_cdktf_provider_google.secret_manager_secret_iam_member import SecretManagerSecretIamMember
from cdktf_cdktf_provider_google.secret_manager_secret_version import SecretManagerSecretVersion
from constructs import Construct

from stacks.addresses import Address, accessor_of, version_of
from stacks.constructs.expressions import add_key_block
from stacks.inputs import Account, Placement
from stacks.resources import pin


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretConfig:
    """Inputs of one secret; strings and numbers may be Terraform tokens.

    Attributes:
        secret_id: Its name in the project.
        value: An ephemeral string.
        value_version: The value is written when it rises.
        after: What is written before the value is: a password exists before the string that holds it.
    """

    address: Address
    secret_id: str
    placement: Placement
    value: str
    value_version: float
    after: Sequence[ITerraformDependable] = ()


class Secret(Construct):
    """One secret with the version that is in use.

    The value goes to Google in a write-only argument, when `value_version` rises and at no other time.

    Attributes:
        accessor_address: The address of a grant to read it.
        id: `projects/PROJECT/secrets/NAME`.
        name: The secret's id, as Cloud Run refers to it.
        version: The number of the version in use. Naming it, not `latest`, makes a rotation a new revision:
            https://cloud.google.com/run/docs/configuring/services/secrets
    """

    def __init__(self, scope: Construct, id_: str, *, config: SecretConfig) -> None:
        super().__init__(scope, id_)
        self.accessor_address = accessor_of(config.address).of(config.placement.prefix)
        prefix = config.placement.prefix
        self._secret = pin(
            SecretManagerSecret(
                self,
                "secret",
                secret_id=config.secret_id,
                project=config.placement.project_id,
                replication=SecretManagerSecretReplication(
                    user_managed=SecretManagerSecretReplicationUserManaged(
                        replicas=[SecretManagerSecretReplicationUserManagedReplicas(location=config.placement.region)]
                    )
                ),
                labels=config.placement.labels,
            ),
            config.address.of(prefix),
        )
        # Versions that are written from then on: https://cloud.google.com/secret-manager/docs/cmek
        replica = "replication.user_managed.replicas.0"
        add_key_block(self._secret, f"{replica}.customer_managed_encryption", "kms_key_name", config.placement)
        version = pin(
            SecretManagerSecretVersion(
                self,
                "version",
                secret=self._secret.id,
                secret_data_wo=config.value,
                # The revision that serves needs the old version until the new one has taken over, and a way back
                # needs it longer: made before the old one goes, which is disabled, not destroyed.
                deletion_policy="DISABLE",
                depends_on=list(config.after),
                lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
            ),
            version_of(config.address).of(prefix),
        )
        # A number in the bindings of hashicorp/google 6, a string in those of 8; the document is the same.
        version.add_override("secret_data_wo_version", config.value_version)
        self.id = self._secret.id
        self.name = self._secret.secret_id
        self.version = version.version

    def accessor(self, account: Account, *, id_: str) -> SecretManagerSecretIamMember:
        """A grant that lets an account read the values of this secret, and of no other."""
        return SecretManagerSecretIamMember(
            self,
            id_,
            secret_id=self._secret.id,
            # Why: Cloud Run reads the value as the workload's account when a container starts.
            role="roles/secretmanager.secretAccessor",
            member=account.member,
        )
