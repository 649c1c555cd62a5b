"""The `[bucket]` section: artifacts."""

from typing import Annotated, TypeAlias

from pydantic import Field

from stacks.settings.field_rules import Pattern, Range
from stacks.settings.section import Section

BucketName: TypeAlias = Annotated[
    str,
    Pattern(
        regex=r"([a-z0-9][a-z0-9_-]{1,61}[a-z0-9])?",
        unless=r"goog.*|.*(google|g00gle).*",
        rule="a bucket name has 3 to 63 lower-case letters, digits, - and _, starts and ends with one of the first,"
        " does not start with goog and does not contain google (dots would need a verified domain)",
        remedy="choose another name, or leave it out",
        url="https://cloud.google.com/storage/docs/buckets#naming",
    ),
]


class Bucket(Section):
    """The bucket for artifacts."""

    name: BucketName = Field(
        default="",
        description="Bucket name; default PROJECT-NAME-artifacts.",
        examples=["acme-ml-prod-mlflow-artifacts"],
    )
    versioning: bool = Field(default=True, description="Keep overwritten and deleted objects as noncurrent versions.")
    delete_noncurrent_after_days: Annotated[
        int,
        Range(
            minimum=1,
            maximum=3_650,
            rule="an overwritten or deleted object is kept for 1 to 3650 days",
            remedy="write a number within the limits, such as 30",
            url="https://cloud.google.com/storage/docs/lifecycle#dayssincenoncurrenttime",
        ),
    ] = Field(default=30, description="Days after which a noncurrent version is deleted.")
    soft_delete_days: Annotated[
        int,
        Range(
            minimum=7,
            maximum=90,
            exception=0,
            rule="soft delete keeps objects for 7 to 90 days, or is off with 0",
            remedy="write 0, or a number from 7 to 90",
            url="https://cloud.google.com/storage/docs/soft-delete",
        ),
    ] = Field(
        default=7,
        description="Days for which deleted objects can be restored; 0 switches soft delete off, else 7 to 90.",
    )
    force_destroy: bool = Field(default=True, description="Let `terraform destroy` delete a bucket that holds objects.")
