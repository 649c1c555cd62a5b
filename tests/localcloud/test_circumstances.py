"""Clouds that are not kind: grants take time, organizations forbid, people may do little, images are elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.services import RESOURCES, iam
from localcloud.services.artifactregistry import RepositoryMember
from localcloud.store import Store
from stacks import addresses
from stacks.kinds import KINDS
from tools.docs import CHECKOUT, DEPLOY

if TYPE_CHECKING:
    from harness.workspace import Workspace
    from localcloud.terraform.model import Object
    from tests.localcloud.conftest import Open

DEPLOYER = "user:ada@example.com"
ROLES = re.findall(r"^\| `(roles/[\w.]+)` \|", (CHECKOUT / DEPLOY).read_text(), re.MULTILINE)
WITH_FEATURES = re.findall(r"who deploys also needs `(roles/[\w.]+)`", (CHECKOUT / DEPLOY).read_text())
SHARED = "europe-west1-docker.pkg.dev/acme-ml-shared/mlflow/mlflow:1.0.0"
AGENT = "service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"
NUMBER = ("--project", "acme-ml-dev=123456789012")


def bind(workspace: Workspace, kind: str, **binding: str) -> None:
    """Makes a grant that Terraform does not know."""
    store = Store(workspace.home)
    body: Object = {"condition": [], **binding}
    store.put(kind, str(binding["id"]), body)
    store.close()


def test_a_first_apply_gives_grants_their_time(open_workspace: Open) -> None:
    workspace = open_workspace(options=("--delays", "grant=2,instance=8,patience=1"))
    workspace.apply()
    assert workspace.plans_nothing()


def test_grants_that_are_too_young_are_told_of_and_a_later_apply_heals(open_workspace: Open) -> None:
    workspace = open_workspace(options=("--delays", "grant=600"))
    message = workspace.apply_fails()
    assert "Permission denied on secret" in message
    assert "then apply again" in message
    workspace = open_workspace()  # minutes later
    workspace.apply()
    assert workspace.plans_nothing()


def test_a_container_waits_for_the_grant_of_its_database(open_workspace: Open) -> None:
    workspace = open_workspace(options=("--delays", "grant=600,patience=0.5"))
    assert "cannot connect to Cloud SQL instance" in workspace.apply_fails()


def test_an_api_that_was_enabled_a_second_ago_is_not_there_yet(open_workspace: Open) -> None:
    message = open_workspace(stack="bootstrap", options=("--delays", "api=600")).apply_fails()
    assert "Artifact Registry API has not been used in project acme-ml-dev before or it is disabled" in message
    workspace = open_workspace(stack="bootstrap")
    workspace.apply()
    assert workspace.plans_nothing()


@pytest.mark.parametrize(
    ("policy", "overrides", "message"),
    [
        (
            "iam.allowedPolicyMemberDomains=example.com",
            {"access__invoker_iam_disabled": "false"},
            "One or more users named in the policy do not belong to a permitted customer",
        ),
        (
            "iam.allowedPolicyMemberDomains=example.com",
            {"access__artifact_writers": '{ others = "group:others@example.org" }'},
            "One or more users named in the policy do not belong to a permitted customer",
        ),
        ("run.managed.requireInvokerIam", {}, "constraints/run.managed.requireInvokerIam"),
        ("run.allowedIngress=internal", {}, "Constraint constraints/run.allowedIngress violated"),
        ("gcp.resourceLocations=in:us-locations", {}, "violates constraint 'constraints/gcp.resourceLocations'"),
        ("sql.restrictPublicIp", {}, "violates the constraints/sql.restrictPublicIp"),
    ],
)
def test_an_organization_forbids(open_workspace: Open, policy: str, overrides: dict[str, str], message: str) -> None:
    assert message in open_workspace(options=("--org-policy", policy), **overrides).apply_fails()


def test_an_organization_of_today_admits_the_defaults(open_workspace: Open) -> None:
    allowed = (
        "iam.allowedPolicyMemberDomains=example.com",
        "run.allowedIngress=all",
        "gcp.resourceLocations=in:eu-locations",
    )
    workspace = open_workspace(options=tuple(f"--org-policy={policy}" for policy in allowed))
    workspace.apply()
    assert workspace.plans_nothing()


def test_the_roles_of_the_page_deploy_and_destroy(open_workspace: Open) -> None:
    workspace = open_workspace()
    for role in ROLES:
        bind(workspace, iam.ProjectMember.type, id=role, project="acme-ml-dev", role=role, member=DEPLOYER)
    workspace = open_workspace(options=("--deployer", DEPLOYER))
    workspace.apply()
    assert workspace.plans_nothing()
    workspace.destroy()


def test_without_a_role_the_error_names_the_missing_permission(open_workspace: Open) -> None:
    message = open_workspace(options=("--deployer", DEPLOYER)).apply_fails()
    for permission in ("cloudsql.instances.create", "iam.serviceAccounts.create", "storage.buckets.create"):
        assert f"Permission '{permission}' denied" in message


@pytest.mark.parametrize("role", ROLES + WITH_FEATURES)
def test_no_role_of_the_page_is_spare(role: str) -> None:
    values: Object = {"invoker_iam_disabled": True}
    verbs = ("create", "read", "update", "delete")
    ours = [kind() for kind in RESOURCES if kind.type in KINDS]
    wanted = {one for kind in ours for verb in verbs for one in kind.permissions_for(verb, values)}
    needed = ROLES + WITH_FEATURES
    others = [other for other in needed if other != role]
    assert (len(ROLES), len(WITH_FEATURES)) == (11, 1)
    assert all(any(iam.permits(one, permission) for one in needed) for permission in wanted)
    assert not all(any(iam.permits(one, permission) for one in others) for permission in wanted)


@pytest.mark.parametrize("image", ["ghcr.io/acme/mlflow:1.0.0", "quay.io/acme/mlflow:1.0.0"])
def test_an_image_of_another_registry_is_refused_before_anything_is_made(open_workspace: Open, image: str) -> None:
    workspace = open_workspace()
    _deploy(workspace, image)
    assert f"docker.io but obtained {image}" in workspace.apply_fails()
    assert addresses.SERVICE not in workspace.addresses()


@pytest.mark.parametrize(
    ("member", "pulls"), [(AGENT, True), ("mlflow-server@acme-ml-dev.iam.gserviceaccount.com", False)]
)
def test_the_image_of_another_project_is_pulled_by_cloud_runs_agent(
    open_workspace: Open,
    member: str,
    pulls: bool,  # noqa: FBT001
) -> None:
    workspace = open_workspace(options=NUMBER)
    repository = "projects/acme-ml-shared/locations/europe-west1/repositories/mlflow"
    reader, whom = "roles/artifactregistry.reader", f"serviceAccount:{member}"
    bind(workspace, RepositoryMember.type, id=f"{repository}/{reader}/{whom}", role=reader, member=whom)
    _deploy(workspace, SHARED)
    if pulls:
        workspace.apply()
    else:
        assert (
            f"Google Cloud Run Service Agent {AGENT} must have permission to read the image" in workspace.apply_fails()
        )


def _deploy(workspace: Workspace, image: str) -> None:
    document: dict[str, Any] = workspace.document
    (container,) = document["resource"]["google_cloud_run_v2_service"]["tracking"]["template"]["containers"]
    container["image"] = image
    workspace.document = document
