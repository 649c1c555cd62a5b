"""The key with which MLflow encrypts what its users entrust to it, such as the secrets of webhooks."""

from typing import Final

from constructs import Construct

from stacks import addresses
from stacks.constructs.ephemeral import random_password
from stacks.constructs.expressions import local, string
from stacks.constructs.secrets import Secret, SecretConfig
from stacks.constructs.workload import Workload
from stacks.inputs import Placement

# 43 letters and digits and a `=` are 32 bytes in base64, a key of Fernet: https://cryptography.io/en/latest/fernet/
_LENGTH: Final = 43
_VERSION: Final = 1
"""Never raised: with another key MLflow could not read what it has stored. docs/runbook.md says how to change it."""


class Encryption(Construct):
    """One key, generated once, the same for every instance and revision.

    Without it MLflow makes one at each start, and cannot read what another instance has stored:
    https://mlflow.org/docs/latest/ml/webhooks/#security

    Attributes:
        secret: The key.
    """

    def __init__(self, scope: Construct, id_: str, *, placement: Placement, webhooks: object) -> None:
        super().__init__(scope, id_)
        prefix = placement.prefix
        self._webhooks = local(self, f"{prefix}webhooks", webhooks)
        key = random_password(self, f"{prefix}encryption_key", length=_LENGTH)
        self.secret = Secret(
            self,
            "key",
            config=SecretConfig(
                address=addresses.ENCRYPTION_KEY,
                secret_id=placement.names.encryption_key_secret,
                placement=placement,
                value=f"{string(key)}=",
                value_version=_VERSION,
            ),
        )

    def give(self, workload: Workload) -> None:
        """Gives a workload the key, and tells it whether MLflow may call webhooks."""
        workload.set({"WEBHOOKS": string(f"tostring({self._webhooks})")})
        for variable in ("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", "MLFLOW_CRYPTO_KEK_PASSPHRASE"):
            workload.set_secret(variable, self.secret)
