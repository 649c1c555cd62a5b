"""The `[iap]` section: Identity-Aware Proxy as the gate, in place of oauth2-proxy."""

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from stacks.settings.field_rules import Pattern
from stacks.settings.section import EMAIL_REGEX, Section

IAP_URL: Final = "https://cloud.google.com/iap/docs/enabling-cloud-run"

Group: TypeAlias = Annotated[
    str,
    Pattern(
        regex=EMAIL_REGEX,
        unless=r".*[@.]gserviceaccount\.com",
        rule="a group of Google's is named by its address, the domain in lower case",
        remedy="write data-science@example.com; people are in access.emails, accounts in access.service_accounts",
        url="https://cloud.google.com/iam/docs/principal-identifiers",
    ),
]


class Iap(Section):
    """Identity-Aware Proxy as the gate: no OAuth client, and groups. `access` says who else gets in."""

    enabled: bool = Field(
        default=False,
        description="Let Google's Identity-Aware Proxy sign people in. Leave out what `access` has for oauth2-proxy:"
        " `oauth_client_id`, `extra_audiences`, `sign_in_rotation`; `gcloud_tokens`, `adc_tokens` and"
        " `invoker_iam_disabled` mean nothing then. It takes hashicorp/google 7.21 or later.",
    )
    groups: list[Group] = Field(
        default_factory=list,
        description="Google groups whose members get in, by their addresses, such as data-science@example.com.",
    )
