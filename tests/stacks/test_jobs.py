"""Promises on what is done beside the service: the jobs, who they are, and when they run."""

from typing import Any

import pytest

from stacks import addresses
from tests.stacks.documents import NAMES, document, resource, variables
from tests.stacks.evaluate import evaluate

JOBS = {"archive-traces", "db-upgrade", "gc"}


def _made(environment: str, local: str = "jobs") -> dict[str, Any]:
    return evaluate(f"${{local.{local}}}", locals_=document(environment)["locals"])


@pytest.mark.parametrize(("environment", "made"), [("dev", set()), ("prod", JOBS), ("maximal", JOBS)])
def test_prod_has_the_jobs_and_dev_has_none(environment: str, made: set[str]) -> None:
    assert set(_made(environment)) == made


@pytest.mark.parametrize(("environment", "scheduled"), [("prod", set()), ("maximal", {"gc", "archive-traces"})])
def test_nothing_is_deleted_or_moved_unless_somebody_said_when(environment: str, scheduled: set[str]) -> None:
    assert set(_made(environment, "scheduled_jobs")) == scheduled


def test_the_settings_reach_the_jobs() -> None:
    made = _made("maximal")
    assert made["gc"]["args"] == ["gc", "--older-than=14d"]
    assert made["archive-traces"]["args"] == ["archive-traces", "--older-than=180d"]
    assert made["gc"]["schedule"] == "30 3 * * SUN"
    assert resource("maximal", addresses.SCHEDULES)["time_zone"] == "Europe/Berlin"
    assert resource("maximal", addresses.JOBS)["template"]["template"]["timeout"] == "7200s"


@pytest.mark.parametrize("environment", NAMES)
def test_a_job_runs_the_services_image_once_as_an_account_of_its_own(environment: str) -> None:
    job = resource(environment, addresses.JOBS)
    template, service = job["template"]["template"], resource(environment, addresses.SERVICE)["template"]
    (container,) = template["containers"]
    assert container["image"] == "${each.value.image}"
    every = _made(environment, "every_job").values()
    assert {made["image"] for made in every} == {service["containers"][0]["image"]}
    assert container["args"] == "${each.value.args}"
    assert "ports" not in container
    assert template["max_retries"] == 0
    assert template["service_account"] == f"${{{addresses.JOB_ACCOUNTS}[each.key].email}}"
    assert {job[name] for name in ("for_each",)} == {resource(environment, addresses.JOB_ACCOUNTS)["for_each"]}


def test_a_job_has_the_services_database_and_places_and_no_sign_in() -> None:
    (container,) = resource("maximal", addresses.JOBS)["template"]["template"]["containers"]
    given = {variable["name"]: variable for variable in container["env"]}
    own = variables("maximal")
    assert {name: own[name] for name in given} == given
    assert {"BACKEND_STORE_URI", "DEFAULT_ARTIFACT_ROOT", "ARTIFACT_ROOTS"} <= given.keys()
    assert not [name for name in given if "OAUTH" in name or "KEY" in name]


def test_only_jobs_that_change_files_may_change_files() -> None:
    grant = resource("maximal", addresses.ARTIFACT_MANAGER.of("jobs_"))
    assert set(evaluate(grant["for_each"], locals_=document("maximal")["locals"])) == JOBS - {"db-upgrade"}


def test_a_schedule_starts_the_job_of_its_name_as_an_account_that_can_do_nothing_else() -> None:
    schedule = resource("maximal", addresses.SCHEDULES)
    job = resource("maximal", addresses.JOBS)
    path = f"projects/{job['project']}/locations/{job['location']}/jobs/{job['name']}:run"
    assert schedule["http_target"]["uri"] == f"https://run.googleapis.com/v2/{path}"
    assert schedule["region"] == job["location"]
    account = f"one({addresses.SCHEDULER_ACCOUNT}[*]"
    assert schedule["http_target"]["oauth_token"]["service_account_email"] == f"${{{account}.email)}}"
    assert resource("maximal", addresses.JOB_INVOKER)["member"] == f"${{{account}.member)}}"
    count = resource("prod", addresses.SCHEDULER_ACCOUNT)["count"]
    assert [evaluate(count, locals_=document(one)["locals"]) for one in ("prod", "maximal")] == [0, 1]
