"""The common base of the stacks that are deployed: Terraform's version, the Google provider and the backend."""

from typing import Final

from cdktf import GcsBackend, LocalBackend, TerraformStack
from cdktf_cdktf_provider_google.provider import GoogleProvider
from constructs import Construct

from stacks.settings.model import Settings

_CHECKOUT: Final = "../../.."
"""The checkout, seen from cdktf.out/stacks/STACK, where Terraform runs: relative, so that every clone gets the same."""


class RootStack(TerraformStack):
    """A stack that is deployed with the settings of one environment."""

    def __init__(self, scope: Construct, id_: str, *, settings: Settings) -> None:
        super().__init__(scope, id_)
        GoogleProvider(self, "google", project=settings.project.id, region=settings.region)

    def keep_state_in_checkout(self, environment: str) -> None:
        """Keeps the state in a file of the checkout."""
        LocalBackend(self, path=f"{_CHECKOUT}/terraform.{environment}.{self.node.id}.tfstate")

    def keep_state_in_bucket(self, bucket: str, environment: str) -> None:
        """Keeps the state in a bucket, under a prefix of its own."""
        GcsBackend(self, bucket=bucket, prefix=f"{environment}/{self.node.id}")
