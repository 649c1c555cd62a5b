"""The settings of one environment; docs/settings.md and environments/example.toml are generated from it."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field
from pydantic.fields import FieldInfo

from stacks.settings.access import Access
from stacks.settings.bucket import Bucket, BucketName
from stacks.settings.database import Database
from stacks.settings.encryption import Encryption
from stacks.settings.field_rules import AtMost, AtMostBytes, Pattern
from stacks.settings.iap import Iap
from stacks.settings.jobs import Jobs
from stacks.settings.monitoring import Monitoring
from stacks.settings.network import Network
from stacks.settings.permissions import Permissions
from stacks.settings.section import Section
from stacks.settings.service import Service

_RUN_DOCS: Final = "https://cloud.google.com/run/docs"
_LABELS_URL: Final = "https://cloud.google.com/resource-manager/docs/labels-overview#requirements"
_LABEL_BYTES: Final = AtMostBytes(
    count=128,
    rule="a label's key or value has at most 128 bytes in UTF-8",
    remedy="shorten it",
    url="https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets",
)

Region: TypeAlias = Annotated[
    str,
    Pattern(
        regex=r"[a-z]+-[a-z]+[0-9]{1,2}",
        rule="a region looks like europe-west1; a zone (europe-west1-b) or a multi-region (EU) is none",
        remedy="choose one from `gcloud run regions list`",
        url=f"{_RUN_DOCS}/locations",
    ),
]
LabelKey: TypeAlias = Annotated[
    str,
    Pattern(
        # The number of characters apart: {0,62} of so large a set takes RE2 milliseconds to compile, for each label.
        regex=r"[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]*",
        unless=r"goog.*|.{64,}",
        rule="a label's key has at most 63 lower-case letters of any language, digits, _ and -, and starts with a"
        " letter, not goog",
        remedy="rename the label",
        url=_LABELS_URL,
    ),
    _LABEL_BYTES,
]
LabelValue: TypeAlias = Annotated[
    str,
    Pattern(
        regex=r"[\p{Ll}\p{Lo}\p{N}_-]*",
        unless=r".{64,}",
        rule="a label's value has at most 63 lower-case letters of any language, digits, _ and -",
        remedy="shorten or respell the value",
        url=_LABELS_URL,
    ),
    _LABEL_BYTES,
]
Labels: TypeAlias = Annotated[
    dict[LabelKey, LabelValue],
    AtMost(
        # Google's limit is 64, and its provider adds one, goog-terraform-provisioned.
        count=63,
        rule="a resource has at most 64 labels, of which one is Terraform's own",
        remedy="remove some",
        url=_LABELS_URL,
    ),
]


class Project(Section):
    """The Google Cloud project."""

    id: Annotated[
        str,
        Pattern(
            regex=r"[a-z][a-z0-9-]{4,28}[a-z0-9]",
            rule="a project id has 6 to 30 lower-case letters, digits and hyphens, starts with a letter and does not"
            " end with a hyphen; projects of a domain (example.com:my-project) are not supported",
            remedy="copy it from `gcloud projects list`; choose a project without a domain in its id",
            url="https://cloud.google.com/resource-manager/docs/creating-managing-projects",
        ),
    ] = Field(description="Project id.", examples=["acme-ml-prod"])
    number: Annotated[
        str,
        Pattern(
            regex=r"[1-9][0-9]{5,17}",
            rule="a project number is a string of 6 to 18 digits; the service's URL contains it",
            remedy='copy it, in quotes, from `gcloud projects describe PROJECT --format="value(projectNumber)"`',
            url="https://cloud.google.com/resource-manager/docs/creating-managing-projects#identifying_projects",
        ),
    ] = Field(description="Project number, a string.", examples=["123456789012"])


class State(Section):
    """Where Terraform keeps its state."""

    bucket: BucketName = Field(
        default="",
        description="Bucket for the state, created by the bootstrap stack; without it the state is a local file.",
        examples=["acme-ml-prod-tfstate"],
    )


class Settings(Section):
    """One environment."""

    profile: Literal["dev", "prod"] = Field(
        default="dev", description="Sets the protection defaults: `dev` can be thrown away, `prod` cannot."
    )
    name: Annotated[
        str,
        Pattern(
            regex=r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
            unless=r"goog.*|.*--.*",
            rule="a name has at most 63 lower-case letters, digits and single hyphens, starts with a letter, does not"
            " end with a hyphen and does not start with goog",
            remedy='take a short word such as "mlflow"',
            url=f"{_RUN_DOCS}/reference/rest/v2/projects.locations.services/create",
        ),
    ] = Field(default="mlflow", description="Prefix of every name in the project.")
    region: Region = Field(
        description="Region of database, bucket, secrets, images and service.", examples=["europe-west1"]
    )
    labels: Labels = Field(
        default_factory=dict,
        description="Labels on every resource that takes labels.",
        examples=[{"team": "ml-platform"}],
    )
    project: Project
    state: State = Field(default_factory=State)
    database: Database = Field(default_factory=Database)
    bucket: Bucket = Field(default_factory=Bucket)
    encryption: Encryption = Field(default_factory=Encryption)
    network: Network = Field(default_factory=Network)
    service: Service
    access: Access
    iap: Iap = Field(default_factory=Iap)
    permissions: Permissions = Field(default_factory=Permissions)
    jobs: Jobs = Field(default_factory=Jobs)
    monitoring: Monitoring = Field(default_factory=Monitoring)


def section_of(name: str) -> type[Section] | None:
    """The model of a section, or None where the name is that of a plain field or of nothing."""
    field = Settings.model_fields.get(name)
    annotation = field.annotation if field else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def field_at(path: Sequence[str]) -> FieldInfo | None:
    """The field at a path or around it: of `service.env.NAME` that of `service.env`; None where there is none."""
    section = section_of(path[0])
    if section is None:
        return Settings.model_fields.get(path[0])
    return section.model_fields.get(path[1]) if len(path) > 1 else None


def field_names() -> list[str]:
    """Every field and section in the order of the model, such as `database.tier`; a section follows its fields."""
    return [
        path
        for name in Settings.model_fields
        for path in (*(f"{name}.{field}" for field in getattr(section_of(name), "model_fields", ())), name)
    ]
