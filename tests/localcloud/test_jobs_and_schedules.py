"""What Cloud Run refuses of a job, and Cloud Scheduler of a schedule, in Google's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from localcloud.resource import ENABLED_API
from localcloud.terraform.model import Refused
from tests.localcloud.calls import enable, sent

if TYPE_CHECKING:
    from localcloud.provider import ResourceProvider
    from localcloud.resource import Cloud

SCHEDULED, JOB, BINDING = "google_cloud_scheduler_job", "google_cloud_run_v2_job", "google_cloud_run_v2_job_iam_member"


@pytest.fixture(autouse=True)
def apis(cloud: Cloud) -> None:
    enable(cloud, "cloudresourcemanager", "cloudscheduler", "iam", "run", "secretmanager")


def scheduled(**changes: Any) -> dict[str, Any]:
    usual = {"name": "clock", "schedule": "0 3 * * *", "http_target": [{"uri": "https://run.googleapis.com/v2/x:run"}]}
    return usual | changes


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (scheduled(schedule="every 24 hours"), "Schedule or time zone is invalid."),
        (scheduled(schedule=None), "Schedule or time zone is invalid."),
        (scheduled(time_zone="Mars/Base"), "Schedule or time zone is invalid."),
        (scheduled(attempt_deadline="5s"), "attemptDeadline must be between 15 seconds and 30 minutes"),
        (scheduled(retry_config=[{"retry_count": 6}]), "RetryConfig.retryCount must be between 0 and 5"),
        (scheduled(http_target=[{"uri": "run.googleapis.com"}]), "HttpTarget.uri must be a valid HTTP or HTTPS URL"),
        (
            scheduled(
                http_target=[
                    {
                        "uri": "https://x.example/",
                        "oauth_token": [{"service_account_email": "no@demo-project.iam.gserviceaccount.com"}],
                    }
                ]
            ),
            "service account no@demo-project.iam.gserviceaccount.com does not exist",
        ),
    ],
)
def test_a_schedule_is_refused_as_cloud_scheduler_refuses_it(
    provider: ResourceProvider, config: dict[str, Any], message: str
) -> None:
    assert message in sent(provider, SCHEDULED, None, config)[1]


def test_a_paused_schedule_is_resumed_in_place(provider: ResourceProvider) -> None:
    made, _ = sent(provider, SCHEDULED, None, scheduled(paused=True))
    assert made["state"] == "PAUSED"
    assert made["region"] == "us-central1"
    found, _ = sent(provider, SCHEDULED, made, scheduled(paused=False, region="us-central1"))
    assert found["state"] == "ENABLED"


def job(**container: Any) -> dict[str, Any]:
    task = {"containers": [{"image": "gcr.io/demo-project/job", **container}]}
    return {"name": "job", "location": "us-central1", "template": [{"template": [task]}], "deletion_protection": False}


def test_a_job_that_cannot_read_its_secret_is_kept_and_refused(provider: ResourceProvider) -> None:
    reference = [{"secret_key_ref": [{"secret": "password", "version": "latest"}]}]
    found, refused = sent(provider, JOB, None, job(env=[{"name": "PASSWORD", "value_source": reference}]))
    assert found["terminal_condition"][0]["state"] == "CONDITION_FAILED"
    assert "Error waiting to create Job: Error code 13, message: Permission denied on secret" in refused


def test_a_protected_job_is_not_deleted(provider: ResourceProvider) -> None:
    made, _ = sent(provider, JOB, None, job() | {"deletion_protection": None})
    assert "cannot destroy job without setting deletion_protection=false" in sent(provider, JOB, made, None)[1]


def test_a_role_on_a_job_goes_with_it(provider: ResourceProvider, cloud: Cloud) -> None:
    member = {"location": "us-central1", "role": "roles/run.invoker", "member": "user:ada@example.com"}
    assert "no Cloud Run job projects/" in sent(provider, BINDING, None, member | {"name": "job"})[1]
    made, _ = sent(provider, JOB, None, job())
    bound, refused = sent(provider, BINDING, None, member | {"name": "job"})
    assert refused == ""
    assert bound["name"] == made["id"]
    assert sent(provider, JOB, made, None) == (None, "")
    assert cloud.store.all(BINDING) == []


def test_a_role_without_a_project_is_in_that_of_a_full_name(provider: ResourceProvider, cloud: Cloud) -> None:
    member = {"location": "us-central1", "role": "roles/run.invoker", "member": "user:ada@example.com"}
    made, _ = sent(provider, JOB, None, job())
    cloud.project = ""  # a provider block that names none
    bound, refused = sent(provider, BINDING, None, member | {"name": made["id"]})
    assert (refused, bound["project"]) == ("", "demo-project")
    with pytest.raises(Refused, match="No project"):
        sent(provider, BINDING, None, member | {"name": "job"})


def test_a_job_and_a_schedule_are_imported_by_their_names(provider: ResourceProvider) -> None:
    sent(provider, JOB, None, job())
    assert provider.import_(JOB, "us-central1/job")["name"] == "job"
    sent(provider, SCHEDULED, None, scheduled())
    assert provider.import_(SCHEDULED, "clock")["schedule"] == "0 3 * * *"


@pytest.mark.parametrize(("kind", "config"), [(SCHEDULED, scheduled()), (JOB, job())], ids=["scheduler", "run"])
def test_its_api_must_be_enabled(provider: ResourceProvider, cloud: Cloud, kind: str, config: dict[str, Any]) -> None:
    for api in ("cloudscheduler", "run"):
        cloud.store.remove(ENABLED_API, f"demo-project/{api}.googleapis.com")
    assert "SERVICE_DISABLED" in sent(provider, kind, None, config)[1]
