"""The `[monitoring]` section: who is notified when something is wrong."""

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from stacks.settings.field_rules import Pattern, Range
from stacks.settings.section import EMAIL_REGEX, Section

_MONITORING_DOCS: Final = "https://cloud.google.com/monitoring"

ReceiverName: TypeAlias = Annotated[
    str,
    Pattern(
        regex=r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?",
        rule="a receiver's key is a name of your choice, of letters, digits, _ and -",
        remedy='write "oncall"',
        url="https://developer.hashicorp.com/terraform/language/meta-arguments/for_each",
    ),
]
ReceiverEmail: TypeAlias = Annotated[
    str,
    Pattern(
        regex=EMAIL_REGEX,
        rule="alerts go to an e-mail address, its domain in lower case",
        remedy='write "oncall@example.com"; create other channels elsewhere and list them in monitoring.channels',
        url=f"{_MONITORING_DOCS}/support/notification-options",
    ),
]
Channel: TypeAlias = Annotated[
    str,
    Pattern(
        regex=r"projects/[a-z0-9-]{6,30}/notificationChannels/[0-9]{1,30}",
        rule="a channel is projects/PROJECT/notificationChannels/NUMBER",
        remedy="copy it from `gcloud beta monitoring channels list`",
        url=f"{_MONITORING_DOCS}/support/notification-options",
    ),
]


class Monitoring(Section):
    """Alerts, a dashboard and an uptime check."""

    enabled: bool = Field(
        default=False, description="Create the alerts and the dashboard. Google bills alerts by their conditions."
    )
    emails: dict[ReceiverName, ReceiverEmail] = Field(
        default_factory=dict,
        description="Addresses that alerts are sent to, each under a name of your choice.",
        examples=[{"oncall": "oncall@example.com"}],
    )
    channels: list[Channel] = Field(
        default_factory=list,
        description="Existing notification channels, projects/PROJECT/notificationChannels/NUMBER.",
        examples=[["projects/acme-ml-prod/notificationChannels/1234567890123456789"]],
    )
    p95_milliseconds: Annotated[
        int,
        Range(
            minimum=50,
            maximum=300_000,
            rule="the time within which 95 of 100 requests are answered is 50 to 300000 milliseconds",
            remedy="write 5000",
            url=f"{_MONITORING_DOCS}/api/metrics_gcp_p_z#gcp-run",
        ),
    ] = Field(
        default=5_000, description="Alert when the slowest 5 % of the requests take longer than this many milliseconds."
    )
    uptime_check: bool = Field(
        default=False,
        description="Call the service every five minutes from outside. It then never scales to zero, and is billed.",
    )
