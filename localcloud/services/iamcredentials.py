"""IAM Service Account Credentials: who may act as a service account, and the signing of texts as one.

Left out: the making of tokens, and delegation from account to account.
https://cloud.google.com/iam/docs/reference/credentials/rest
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from typing_extensions import override

from localcloud.resource import Api, Cloud, policy, require_api
from localcloud.services import iam
from localcloud.terraform.model import Object, Problem, Refused, text

if TYPE_CHECKING:
    from collections.abc import Iterator

API = Api("iamcredentials.googleapis.com", "IAM Service Account Credentials API")
SCOPE = "https://www.googleapis.com/auth/iam"
_FULL_NAME = re.compile(r"projects/([^/]+)/serviceAccounts/([^/]+)")


class ServiceAccountMember(iam.Member):
    """A role on one service account."""

    type = "google_service_account_iam_member"
    api = iam.ServiceAccount.api
    permissions = policy("iam.serviceAccounts")
    target = "service_account_id"

    def target_name(self, values: Object) -> str:
        """The account's full name; the provider takes no other."""
        return text(values, "service_account_id")

    @override
    def owner(self, values: Object) -> tuple[str, str]:
        return iam.ServiceAccount.type, self.target_name(values)

    @override
    def validate(self, config: Object) -> Iterator[Problem]:
        yield from super().validate(config)
        name = config.get("service_account_id")
        if isinstance(name, str) and not _FULL_NAME.fullmatch(name):
            yield Problem(
                f"service_account_id {name!r} is no full name",
                "Write projects/PROJECT/serviceAccounts/EMAIL, an account's name.",
                ("service_account_id",),
            )

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """The account must exist."""
        super().precheck(cloud, planned, config)
        found = _FULL_NAME.fullmatch(self.target_name(planned))
        if found:
            iam.require_account(cloud, found[2], found[1])


def require_sign(cloud: Cloud, caller: str, account: str) -> None:
    """Refuses who may not sign as an account.

    Args:
        cloud: where the bindings are.
        caller: who asks, by address.
        account: as whom, by address.

    Raises:
        Refused: in Google's words.
    """
    project = account.partition("@")[2].partition(".")[0]
    name = f"projects/{project}/serviceAccounts/{account}"
    require_api(cloud, API, project)
    target = iam.Target(
        project=project,
        name=name,
        type="iam.googleapis.com/ServiceAccount",
        member_type=ServiceAccountMember.type,
        member_key=name,
    )
    if not iam.allows(cloud, iam.member_of(caller), "iam.serviceAccounts.signBlob", target):
        raise Refused(
            Problem("Permission 'iam.serviceAccounts.signBlob' denied on resource (or it may not exist).", caller)
        )
