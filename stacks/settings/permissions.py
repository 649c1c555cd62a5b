"""The `[permissions]` section: who may do what inside MLflow."""

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from image.mlflow_cloudrun import permissions
from stacks.settings.field_rules import OneOf, Pattern
from stacks.settings.section import EMAIL_REGEX, Section

PERMISSIONS_URL: Final = "https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/#permissions"
WORKSPACES_URL: Final = "https://mlflow.org/docs/latest/self-hosting/workspaces/"

Address: TypeAlias = Annotated[
    str,
    Pattern(
        regex=EMAIL_REGEX,
        rule="a person or a service account is named by its address, the domain in lower case",
        remedy="write ada@example.com or NAME@PROJECT.iam.gserviceaccount.com; groups cannot be named",
        url=PERMISSIONS_URL,
    ),
]

TeamName: TypeAlias = Annotated[
    str,
    Pattern(
        regex=permissions.TEAM,
        unless="|".join(permissions.NO_TEAMS),
        rule="a team is named as MLflow names a workspace: 2 to 63 lower-case letters, digits and hyphens, at both ends"
        f" no hyphen, and none of {', '.join(permissions.NO_TEAMS)}",
        remedy="write a name such as vision; the workspace default is everybody's",
        url=WORKSPACES_URL,
    ),
]


class Permissions(Section):
    """MLflow's permissions, by the address that the gate saw; without them everybody who gets in may do everything."""

    enabled: bool = Field(
        default=False,
        description="Whoever makes an experiment or a model manages it, and others may do what the rest of this"
        " section says. Nobody gets a password.",
        examples=[True],
    )
    default: Annotated[
        str,
        OneOf(
            values=permissions.DEFAULTS,
            rule=f"what everybody may do is one of {', '.join(permissions.DEFAULTS)}",
            remedy="write READ; EDIT is for a group that works on the same experiments",
            url=PERMISSIONS_URL,
        ),
    ] = Field(
        default="READ",
        description="What everybody may do with what others made: nothing (`NO_PERMISSIONS`), `READ`, `EDIT`, or"
        " `MANAGE`, which includes deletion.",
    )
    admins: list[Address] = Field(
        default_factory=list, description="Who may do everything.", examples=[["ada@example.com"]]
    )
    readers: list[Address] = Field(
        default_factory=list,
        description="Who may read everything, whatever the default is, and change nothing.",
        examples=[["auditor@example.com"]],
    )
    teams: dict[TeamName, list[Address]] = Field(
        default_factory=dict,
        description="Teams by their names, each a workspace of MLflow's with files of its own: its members may do"
        " everything there, admins too, readers read, and nobody else learns of it. For what is in no team's workspace"
        " the rest of this section says what holds.",
        examples=[{"vision": ["ada@example.com", "trainer@acme-ml-prod.iam.gserviceaccount.com"]}],
    )
