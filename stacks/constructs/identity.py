"""Who the service is: one service account that nothing else uses."""

from cdktf_cdktf_provider_google.service_account import ServiceAccount
from constructs import Construct

from stacks.inputs import Placement
from stacks.names import pin


class Identity(Construct):
    """The dedicated service account; the grants live with the resources that are granted.

    Attributes:
        email: The account's e-mail address.
        member: The account as an IAM member, `serviceAccount:EMAIL`.
    """

    def __init__(self, scope: Construct, id_: str, *, placement: Placement) -> None:
        super().__init__(scope, id_)
        account = pin(
            ServiceAccount(
                self,
                "account",
                account_id=placement.names.service_account,
                project=placement.project_id,
                display_name="MLflow tracking server",
                description="Runs the MLflow tracking server on Cloud Run; used by nothing else.",
            ),
            "tracking",
        )
        self.email = account.email
        self.member = account.member
