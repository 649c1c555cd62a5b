"""Cloud Scheduler: jobs that call a URL by a schedule.

Left out: targets other than HTTP, and that a region of Cloud Scheduler may not have. The calls are the platform's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from localcloud.clock import seconds
from localcloud.resource import Api, Cloud, Resource, crud, name_problem
from localcloud.services import iam
from localcloud.services.cron import BadSchedule, Schedule
from localcloud.terraform.model import UNKNOWN, Block, Object, Problem, Refused, Value, at, objects, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localcloud.resource import ApiDefault

LOCATIONS = "https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs"
_TARGETS = ("app_engine_http_target", "http_target", "pubsub_target")
_DURATION = r"\d+(\.\d{1,9})?s"
_SHORTEST_S, _LONGEST_S = 15, 1800
_MOST_RETRIES = 5


class Job(Resource):
    """A job that is due by a schedule."""

    type = "google_cloud_scheduler_job"
    api = Api("cloudscheduler.googleapis.com", "Cloud Scheduler API")
    permissions = crud("cloudscheduler.jobs")
    id_format = "projects/{project}/locations/{region}/jobs/{name}"
    requires_replace = frozenset({"name", "project", "region"})
    defaults: ClassVar[Mapping[str, Value]] = {"attempt_deadline": "180s", "time_zone": "Etc/UTC"}
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        "paused": False,
        "retry_config.max_backoff_duration": "3600s",
        "retry_config.max_doublings": 5,
        "retry_config.max_retry_duration": "0s",
        "retry_config.min_backoff_duration": "5s",
        "retry_config.retry_count": 0,
    }
    imports = (id_format, "{project}/{region}/{name}", "{region}/{name}", "{name}")

    def known(self, cloud: Cloud, block: Block, values: Object) -> Object:
        """The region is the provider's where none is set."""
        region = values.get("region") or cloud.region
        return super().known(cloud, block, values) | {"region": region or None}

    def validate(self, config: Object) -> Iterator[Problem]:
        """Its name has a form, and it has one target."""
        yield from name_problem(
            config, "name", r"[\w-]{1,500}", f"At most 500 letters, digits, hyphens and underscores: {LOCATIONS}"
        )
        if sum(config.get(target) not in (None, []) for target in _TARGETS) != 1:
            yield Problem(f"one of {', '.join(_TARGETS)} must be specified", f"A job has one target: {LOCATIONS}")
        for target in objects(config, "http_target"):
            if objects(target, "oauth_token") and objects(target, "oidc_token"):
                detail = "An OAuth token is for interfaces of Google, an identity token for one's own services."
                yield Problem("oauth_token conflicts with oidc_token", detail, ("http_target",))

    def permissions_for(self, verb: str, values: Object) -> tuple[str, ...]:
        """The caller must be able to act as the job's account: https://cloud.google.com/scheduler/docs/http-target-auth."""
        permissions = super().permissions_for(verb, values)
        changes = verb in {"create", "update"} and account_of(values)
        return (*permissions, "iam.serviceAccounts.actAs") if changes else permissions

    def conflict(self, cloud: Cloud, values: Object) -> str:
        """Cloud Scheduler's words."""
        del cloud
        return f"Error creating Job: googleapi: Error 409: Job {self.identify(values)} already exists."

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """Cloud Scheduler's checks when a job is created or updated."""
        del config
        if not objects(planned, "http_target"):
            raise Refused(Problem("a target other than http_target has no meaning in the local cloud"))
        email = account_of(planned)
        if email:
            iam.require_account(cloud, email, text(planned, "project"))
        problems = list(_problems(planned))
        if problems:
            raise Refused(*problems)

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """It is enabled, unless it is made paused."""
        del cloud, config
        return self._state(planned)

    def update(self, cloud: Cloud, planned: Object, config: Object, prior: Object) -> Object:
        """A change of `paused` is a call of its own, after the others."""
        del cloud, config, prior
        return self._state(planned)

    def _state(self, planned: Object) -> Object:
        return {"state": "PAUSED" if planned.get("paused") is True else "ENABLED"}

    def forget(self, cloud: Cloud, values: Object) -> None:
        """When it was called."""
        cloud.store.remove(ATTEMPT, self.identify(values))


ATTEMPT = "cloudscheduler.attempt"
"""Under which the last attempt of each job is remembered, by the job's full name."""


def note_attempt(cloud: Cloud, job: str, status: str, time: str) -> None:
    """Remembers how the last attempt of a job went, in a status of https://cloud.google.com/apis/design/errors."""
    cloud.store.put(ATTEMPT, job, {"name": job, "time": time, "status": status})


def account_of(job: Object) -> str:
    """The service account whose token a job sends; "" if it sends none."""
    target = at(job, "http_target", 0)
    found = at(target, "oauth_token", 0) or at(target, "oidc_token", 0)
    return text(found, "service_account_email")


def schedule_of(job: Object) -> Schedule:
    """When a job is due.

    Raises:
        BadSchedule: never, if the job was accepted.
    """
    return Schedule.parse(text(job, "schedule"), text(job, "time_zone"))


def _problems(job: Object) -> Iterator[Problem]:
    try:
        schedule_of(job)
    except BadSchedule as error:
        # https://github.com/hashicorp/terraform/issues/31571
        yield Problem(
            "Error creating Job: googleapi: Error 400: Schedule or time zone is invalid.",
            f"{error}. https://cloud.google.com/scheduler/docs/configuring/cron-job-schedules",
            ("schedule",),
        )
    deadline = job.get("attempt_deadline")
    if not _is_duration(deadline) or not _SHORTEST_S <= seconds(deadline) <= _LONGEST_S:
        message = "attemptDeadline must be between 15 seconds and 30 minutes for HTTP targets"
        yield Problem(f"Error creating Job: googleapi: Error 400: {message}.", LOCATIONS, ("attempt_deadline",))
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text(job, "http_target", 0, "uri")):
        message = "HttpTarget.uri must be a valid HTTP or HTTPS URL"
        yield Problem(f"Error creating Job: googleapi: Error 400: {message}.", LOCATIONS, ("http_target",))
    for retry in objects(job, "retry_config"):
        count = retry.get("retry_count")
        if count is not UNKNOWN and not (isinstance(count, int | float) and 0 <= count <= _MOST_RETRIES):
            message = f"RetryConfig.retryCount must be between 0 and {_MOST_RETRIES}"
            yield Problem(f"Error creating Job: googleapi: Error 400: {message}.", LOCATIONS, ("retry_config",))


def _is_duration(value: Value) -> bool:
    return isinstance(value, str) and re.fullmatch(_DURATION, value) is not None
