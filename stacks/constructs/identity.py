"""The identity of a workload: one service account that nothing else uses."""

from dataclasses import dataclass

from cdktf_cdktf_provider_google.service_account import ServiceAccount
from constructs import Construct

from stacks.addresses import Address
from stacks.constructs.expressions import string
from stacks.inputs import Account, Placement
from stacks.resources import pin


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentityConfig:
    """Inputs of an account.

    Attributes:
        account_id: What stands before the @.
        description: What runs as it.
        for_each: The expression of a map with a key for each of several accounts, if it is not one.
        count: The expression of 0 or 1, if there may be none.
    """

    address: Address
    placement: Placement
    account_id: str
    display_name: str
    description: str
    for_each: str = ""
    count: str = ""


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
            config.address.of(config.placement.prefix),
        )
        address = config.address.of(config.placement.prefix)
        self.account = Account.of(address)
        if config.for_each:
            account.add_override("for_each", string(config.for_each))
            self.account = Account.of(f"{address}[each.key]")
        if config.count:
            account.add_override("count", string(config.count))
            self.account = Account(email=string(f"one({address}[*].email)"), member=string(f"one({address}[*].member)"))
