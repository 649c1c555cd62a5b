"""Who a workload is: one service account that nothing else uses."""

from dataclasses import dataclass

from cdktf_cdktf_provider_google.service_account import ServiceAccount
from constructs import Construct

from stacks import addresses
from stacks.inputs import Account, Placement
from stacks.resources import pin


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentityConfig:
    """What an account needs.

    Attributes:
        account_id: What stands before the @.
        description: What runs as it.
    """

    placement: Placement
    account_id: str
    display_name: str
    description: str


class Identity(Construct):
    """A dedicated service account; the grants live with the resources that are granted.

    Attributes:
        account: The account.
    """

    def __init__(self, scope: Construct, id_: str, *, config: IdentityConfig) -> None:
        super().__init__(scope, id_)
        account = pin(
            ServiceAccount(
                self,
                "account",
                account_id=config.account_id,
                project=config.placement.project_id,
                display_name=config.display_name,
                description=config.description,
            ),
            addresses.ACCOUNT.of(config.placement.prefix),
        )
        self.account = Account(email=account.email, member=account.member)
