"""The `[jobs]` section: what runs outside the service, on demand or on a schedule."""

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from stacks.settings.field_rules import Pattern, Range
from stacks.settings.section import Section

_SCHEDULER_DOCS: Final = "https://cloud.google.com/scheduler/docs/configuring/cron-job-schedules"


def _cron(*names: str, number: str) -> str:
    """A pattern of one of the five parts of a schedule."""
    one = "|".join((number, *names))
    span = rf"(\*|({one})(-({one}))?)(/[1-9][0-9]?)?"
    return f"{span}(,{span})*"


_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_CRON: Final = " ".join(
    (
        _cron(number="[1-5]?[0-9]"),
        _cron(number="1?[0-9]|2[0-3]"),
        _cron(number="[1-9]|[12][0-9]|3[01]"),
        _cron(*_MONTHS, number="[1-9]|1[0-2]"),
        _cron(*_DAYS, number="[0-7]"),
    )
)

Schedule: TypeAlias = Annotated[
    str,
    Pattern(
        regex=f"({_CRON})?",
        rule="a schedule has five parts, minute, hour, day of the month, month and day of the week, one space between",
        remedy='write "0 3 * * 0" (Sundays at 3), or leave it out for a job that runs only on demand',
        url=_SCHEDULER_DOCS,
    ),
]
Days: TypeAlias = Annotated[
    int,
    Range(
        minimum=1,
        maximum=3_650,
        rule="the age is 1 to 3650 days",
        remedy="write a number within the limits, such as 30",
        url="https://mlflow.org/docs/latest/cli.html#mlflow-gc",
    ),
]


class Jobs(Section):
    """Cloud Run jobs for maintenance: `gc`, `archive-traces` and `db-upgrade`."""

    enabled: bool = Field(
        default=False, description="Create the jobs; one without a schedule runs, and costs, only when you execute it."
    )
    gc_schedule: Schedule = Field(
        default="",
        description="When to remove for good what was deleted in MLflow, with its files; by default never.",
        examples=["0 3 * * 0"],
    )
    gc_older_than_days: Days = Field(
        default=30, description="Days for which deleted runs and experiments can be restored."
    )
    archive_schedule: Schedule = Field(
        default="",
        description="When to move old traces from the database to the bucket; by default never.",
        examples=["0 4 * * *"],
    )
    archive_older_than_days: Days = Field(default=90, description="Days that traces stay in the database.")
    time_zone: Annotated[
        str,
        Pattern(
            regex=r"[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}",
            rule="a time zone is a name of the tz database",
            remedy='write "Etc/UTC" or "Europe/Berlin"',
            url="https://en.wikipedia.org/wiki/List_of_tz_database_time_zones",
        ),
    ] = Field(default="Etc/UTC", description="Time zone of the schedules, a name of the tz database.")
    timeout_seconds: Annotated[
        int,
        Range(
            minimum=60,
            maximum=86_400,
            rule="a job runs for at most 60 to 86400 seconds",
            remedy="write 3600, an hour",
            url="https://cloud.google.com/run/docs/configuring/task-timeout",
        ),
    ] = Field(default=3_600, description="Longest run of a job, in seconds.")
