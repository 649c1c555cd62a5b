"""An apply runs `db-upgrade` and waits for it where the provider can, before the service gets the new image."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.platform import Platform
from localcloud.resource import Cloud, Kept
from localcloud.services import iam
from localcloud.services.run_jobs import Job
from localcloud.store import Store
from localcloud.terraform.model import Problem, Refused
from stacks.module import WAITING
from tests.localcloud.calls import block
from tools.docs import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.terraform.model import Object
    from tests.localcloud.conftest import Open

WORKER = "worker@acme.iam.gserviceaccount.com"
PROVIDER_WAITS = "run_execution_token" in block(Job.type).attributes
"""So with the bindings of 8.x (`make synth-cdktn`), and not with the pinned ones."""


def test_the_file_for_newer_providers_waits_there_and_asks_for_them(open_workspace: Open) -> None:
    workspace = open_workspace(jobs__enabled="true")
    file = CHECKOUT / "module" / WAITING
    shutil.copy(file, workspace.folder / "db_upgrade_override.tf.json")
    # Terraform drops an argument of an override that a provider does not know, without a word.
    assert '"version": ">= 7.42.0, < 9.0.0"' in file.read_text()
    workspace.apply()
    assert workspace.plans_nothing()
    (jobs,) = (it for it in workspace.state()["resources"] if it["type"] == Job.type)
    tokens = {it["index_key"]: it["attributes"].get("run_execution_token") for it in jobs["instances"]}
    assert (tokens.pop("db-upgrade") is not None) is PROVIDER_WAITS
    assert tokens == {"archive-traces": None, "gc": None}


def test_the_service_gets_an_image_after_the_jobs_have_it(open_workspace: Open) -> None:
    workspace = open_workspace(jobs__enabled="true")
    (service,) = workspace.document["resource"]["google_cloud_run_v2_service"].values()
    assert "google_cloud_run_v2_job.jobs" in service["depends_on"]


class Runner(Platform):
    """Notes what is executed; a name with `broken` in it fails."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, bool]] = []

    def run_job(self, job: Object, execution: str, *, wait: bool) -> None:
        self.ran.append((execution, wait))
        if "broken" in execution:
            raise Refused(Problem(f"Execution {execution} has failed", "db-upgrade: the schema is newer"))
        assert job["id"]


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def executing(tmp_path: Path, runner: Runner) -> Cloud:
    cloud = Cloud(Store(tmp_path), platform=runner)
    cloud.store.put(iam.ServiceAccount.type, f"projects/acme/serviceAccounts/{WORKER}", {"email": WORKER})
    return cloud


def job(**more: Any) -> Any:
    container = {"image": "gcr.io/acme/worker:1"}
    template = [{"template": [{"containers": [container], "service_account": WORKER}]}]
    return {"project": "acme", "location": "here", "name": "upgrade", "template": template, **more}


def test_a_token_executes_the_job_when_it_is_made_and_changed(executing: Cloud, runner: Runner) -> None:
    Job().create(executing, job(), {})
    assert runner.ran == []
    Job().update(executing, job(run_execution_token="a1"), {}, {})  # noqa: S106
    Job().update(executing, job(start_execution_token="b2"), {}, {})  # noqa: S106
    assert runner.ran == [("upgrade-a1", True), ("upgrade-b2", False)]


def test_a_job_whose_execution_fails_is_kept_and_refused_with_its_log(executing: Cloud) -> None:
    with pytest.raises(Kept, match="upgrade-broken has failed") as refused:
        Job().create(executing, job(run_execution_token="broken"), {})  # noqa: S106
    assert refused.value.problems[0].detail == "db-upgrade: the schema is newer"


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ({"run_execution_token": "a", "start_execution_token": "b"}, "Conflicting configuration arguments"),
        ({"run_execution_token": "a" * 56}, "The name of the execution is too long"),
    ],
)
def test_a_token_that_cannot_be_is_refused(tokens: dict[str, str], words: str) -> None:
    (problem,) = Job().validate(job(**tokens))
    assert problem.summary == words
