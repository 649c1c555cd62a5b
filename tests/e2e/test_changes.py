"""Day two, by Terraform alone, under a client that writes all the time: no acknowledged write is lost."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from harness.waiting import wait_for
from harness.world import SEARCH
from localcloud.machine.iap import SIGN_IN_PATH
from stacks import addresses
from tests.e2e.writer import writing

if TYPE_CHECKING:
    from harness.world import World

pytestmark = pytest.mark.long

NEXT = "FROM {image}\nLABEL next=1\n"
DATA = (addresses.INSTANCE, addresses.DATABASE, addresses.DATABASE_USER, addresses.BUCKET)
ENDS_AT_ONCE = 'FROM {image}\nENTRYPOINT ["/bin/sh", "-c", "echo cannot open the file of models; exit 3"]\n'


def derive(world: World, tag: str, dockerfile: str) -> str:
    """Builds an image on top of the one that is deployed first; returns its name, which differs in the tag."""
    name = f"{world.image.rpartition(':')[0]}:{tag}"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Dockerfile").write_text(dockerfile.format(image=world.image))
        world.engine.build(Path(folder), name, arguments={}, pull=False)
    return name


def change(world: World, **overrides: str) -> None:
    """One change, as a person makes it: another setting, then `terraform apply`; the next plan is empty."""
    before = {container.id for container in world.instances()}
    revision = world.revision()
    world.synthesize(**overrides)
    world.tracking.apply()
    assert world.tracking.plans_nothing()
    if world.revision() != revision:
        wait_for(lambda: not before & {it.id for it in world.instances()}, "the end of the old revision")


def test_a_new_image_fails_no_request(world: World) -> None:
    image = derive(world, "next", NEXT)
    with writing(world, "new image") as writer:
        change(world, SERVICE__IMAGE=image)
    assert not writer.failures


def test_a_new_domain_fails_no_request_and_lets_its_people_in(world: World) -> None:
    guest = world.bearer("guest@example.org")
    assert httpx.get(f"{world.url}{SEARCH}", headers=guest).status_code == 403
    with writing(world, "new domain") as writer:
        change(world, ACCESS__EMAIL_DOMAINS='["example.com", "example.org"]')
    assert not writer.failures
    assert httpx.get(f"{world.url}{SEARCH}", headers=guest).status_code == 200


def test_a_new_sign_in_secret_fails_no_request(world: World) -> None:
    with writing(world, "new sign-in secret") as writer:
        world.tracking.environment["TF_VAR_oauth_client_secret"] = world.oauth_client_secret(new_secret=True)
        change(world, ACCESS__SIGN_IN_ROTATION="2")
    assert not writer.failures


def test_one_instance_more_fails_no_request_and_stays(world: World) -> None:
    with writing(world, "min instances 0 -> 1") as writer:
        change(world, SERVICE__MIN_INSTANCES="1")
    assert not writer.failures


def test_a_new_database_password_loses_no_acknowledged_write(world: World) -> None:
    """The old revision's open connections go on; new ones, which its pool makes under load, are refused."""
    with writing(world, "new database password", clients=16):  # more than the pool keeps open
        change(world, DATABASE__ROTATION="2")


def run_job(world: World, name: str) -> None:
    command = ("gcloud", "run", "jobs", "execute", name, "--wait")
    cloud = (sys.executable, "-m", "localcloud", "--home", str(world.home))
    done = subprocess.run([*cloud, *command], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def log_in_by(world: World, login: str) -> None:
    """A step to another login, which replaces nothing that holds data."""
    world.synthesize(DATABASE__LOGIN=login)
    planned = {it["address"]: it["change"]["actions"] for it in world.tracking.plan()["resource_changes"]}
    assert not [address for address in DATA if "delete" in planned[address]]
    change(world)


@pytest.mark.rehearsal
def test_to_logins_without_a_password_and_back_no_acknowledged_write_is_lost(world: World) -> None:
    """As the runbook has it; the jobs log in as accounts of their own."""
    with writing(world, "logins without a password, and back"):
        log_in_by(world, "both")
        log_in_by(world, "iam")
        environment = world.instances()[0].execute("env").splitlines()
        assert "DATABASE_LOGIN=iam" in environment
        assert [it for it in environment if it.startswith("BACKEND_STORE_URI=") and "@" not in it]
        for job in ("gc", "db-upgrade"):
            run_job(world, f"mlflow-{job}")
        log_in_by(world, "both")
        log_in_by(world, "password")
    assert not [address for address in world.tracking.addresses() if "instance_user" in address]


def test_another_tier_loses_no_acknowledged_write(world: World) -> None:
    """The server restarts; until it answers, nobody gets an answer."""
    with writing(world, "another tier"):
        change(world, DATABASE__TIER="db-custom-2-7680")


@pytest.mark.rehearsal
def test_the_other_gate_lets_in_a_named_person_and_no_stranger_and_the_way_back_is_open(
    world: World, tmp_path: Path
) -> None:
    behind_proxy = world.settings_file
    lines = (line for line in behind_proxy.read_text().splitlines() if not line.startswith("oauth_client_id"))
    world.settings_file = tmp_path / "iap.toml"
    world.settings_file.write_text("\n".join([*lines, "[iap]", "enabled = true", ""]))
    data = {address: world.tracking.terraform("state", "show", address).stdout for address in DATA}
    world.overrides |= {"ACCESS__SIGN_IN_ROTATION": "1"}
    change(world)
    for email, status in (("ada@example.com", 200), ("eve@evil.test", 403)):
        with httpx.Client(base_url=world.url, timeout=60, headers={"Accept-Encoding": "identity"}) as browser:
            assert browser.get(SEARCH).status_code == 401
            browser.post(SIGN_IN_PATH, data={"email": email, "next": "/"})
            assert browser.get(SEARCH).status_code == status
    assert httpx.get(f"{world.url}{SEARCH}", headers=world.bearer("ada@example.com")).status_code == 401
    world.settings_file = behind_proxy
    change(world)
    assert httpx.get(f"{world.url}{SEARCH}", headers=world.bearer()).is_success
    assert {address: world.tracking.terraform("state", "show", address).stdout for address in DATA} == data


def test_an_image_that_ends_at_once_is_refused_with_its_log_and_the_old_revision_goes_on(world: World) -> None:
    good, revision = world.settings.service.image, world.revision()
    with writing(world, "image that ends at once") as writer:
        world.synthesize(SERVICE__IMAGE=derive(world, "broken", ENDS_AT_ONCE))
        refusal = world.tracking.apply_fails()
        assert "is not ready and cannot serve traffic" in refusal
        assert "cannot open the file of models" in refusal
        writer.goes_on()
    assert not writer.failures
    assert world.revision() == revision
    change(world, SERVICE__IMAGE=good)


def test_a_wrong_secret_is_refused_without_being_shown_and_the_old_revision_goes_on(world: World) -> None:
    revision = world.revision()
    with writing(world, "wrong secret") as writer:
        world.synthesize(ACCESS__SIGN_IN_ROTATION="3")
        document = world.tracking.document
        versions = document["resource"]["google_secret_manager_secret_version"]
        versions["oauth2_proxy"]["secret_data_wo"] = "client_id = the-secret-itself"  # noqa: S105
        world.tracking.document = document
        refusal = world.tracking.apply_fails()
        assert "is not ready and cannot serve traffic" in refusal
        assert "is not TOML" in refusal
        assert "the-secret-itself" not in refusal
    assert not writer.failures
    assert world.revision() == revision
    change(world, ACCESS__SIGN_IN_ROTATION="4")
