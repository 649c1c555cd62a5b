"""Start-up has the grants that it needs and no spare one: without any of them the apply fails and names it.

Grants take effect late, so one that the service does not wait for is not there in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stacks import addresses

if TYPE_CHECKING:
    from harness.workspace import Workspace
    from tests.localcloud.conftest import Open

ACCOUNT = "mlflow-server@acme-ml-dev.iam.gserviceaccount.com"
NUMBER = ("--project", "acme-ml-dev=123456789012")  # Secret Manager names secrets by it
SECRETS = {
    addresses.BACKEND_STORE_URI: "backend-store-uri",
    addresses.ENCRYPTION_KEY: "encryption-key",
    addresses.OAUTH2_PROXY: "oauth2-proxy",
}
# What start-up needs, and what the refusal says when it is missing.
NEEDED = {
    addresses.DATABASE_CLIENT: (
        "The container cannot connect to Cloud SQL instance acme-ml-dev:europe-west1:mlflow-db",
        f"{ACCOUNT} needs the role roles/cloudsql.client",
    ),
    **{
        addresses.accessor_of(secret): (
            f"Permission denied on secret: projects/123456789012/secrets/mlflow-{name}/versions/1",
            f"for Revision service account {ACCOUNT}",
            "roles/secretmanager.secretAccessor",
        )
        for secret, name in SECRETS.items()
    },
}
# Grants of jobs, of which dev has none.
JOBS = {
    addresses.ARTIFACT_MANAGER.of("jobs_"),
    addresses.DATABASE_CLIENT.of("jobs_"),
    addresses.DATABASE_LOGIN.of("jobs_"),
    addresses.JOB_INVOKER,
    addresses.accessor_of(addresses.BACKEND_STORE_URI).of("jobs_"),
}
# Grants that only running code, or callers, need: starting works without them.
NOT_AT_START = {
    addresses.PUBLIC_INVOKER,
    addresses.ARTIFACT_WRITERS,
    addresses.ARTIFACT_VIEWER,
    addresses.ARTIFACT_LINKS,
    addresses.LINK_SIGNER,
    addresses.DATABASE_LOGIN,  # with a password there is none
    *JOBS,
}
QUIET = "0.5"  # seconds; however busy the machine is, Terraform has made every call by then
# As the log of the local cloud names them.
IN_LOG = {
    addresses.DATABASE_CLIENT: "roles/cloudsql.client",
    **{addresses.accessor_of(secret): f"mlflow-{name}/roles" for secret, name in SECRETS.items()},
}


def test_every_grant_of_the_stack_is_tried(open_workspace: Open) -> None:
    grants = {
        f"{kind}.{name}"
        for kind, named in open_workspace().document["resource"].items()
        if kind.endswith("_iam_member")
        for name in named
    }
    assert grants == {*NEEDED, *NOT_AT_START}


@pytest.mark.parametrize("grant", NEEDED)
def test_without_a_grant_the_revision_is_refused(open_workspace: Open, grant: str) -> None:
    workspace = open_workspace(options=NUMBER)
    _remove(workspace, grant, resource=True)
    message = workspace.apply_fails()
    for words in NEEDED[grant]:
        assert words in message
    assert message.count("Revision 'mlflow-00001-") == 1


@pytest.mark.parametrize("grant", NEEDED)
def test_a_revision_that_does_not_wait_for_a_grant_is_refused(open_workspace: Open, grant: str) -> None:
    workspace = open_workspace(options=("--late", IN_LOG[grant], "--quiet", QUIET, *NUMBER))
    _remove(workspace, grant, resource=False)
    message = workspace.apply_fails()
    for words in NEEDED[grant]:
        assert words in message
    workspace.apply()  # by now the grant is in effect


def test_a_revision_that_waits_for_nothing_is_told_everything_at_once(open_workspace: Open) -> None:
    workspace = open_workspace(options=("--quiet", QUIET, *NUMBER))
    for grant in (*NEEDED, *NOT_AT_START):
        _remove(workspace, grant, resource=False)
    message = workspace.apply_fails()
    for all_words in NEEDED.values():
        for words in all_words:
            assert words in message


@pytest.mark.parametrize("grant", sorted(NOT_AT_START))
def test_the_other_grants_are_not_needed_to_start(open_workspace: Open, grant: str) -> None:
    workspace = open_workspace()
    _remove(workspace, grant, resource=True)
    workspace.apply()


def test_a_condition_on_another_instance_does_not_count(open_workspace: Open) -> None:
    workspace = open_workspace()
    document = workspace.document
    condition = document["resource"]["google_project_iam_member"]["cloudsql_client"]["condition"]
    condition["expression"] = "resource.name == 'projects/acme-ml-dev/instances/other'"
    workspace.document = document
    assert "cannot connect to Cloud SQL instance" in workspace.apply_fails()


def test_a_condition_that_is_no_expression_is_refused(open_workspace: Open) -> None:
    workspace = open_workspace()
    document = workspace.document
    document["resource"]["google_project_iam_member"]["cloudsql_client"]["condition"]["expression"] = "resource.name =="
    workspace.document = document
    assert "condition 'only-the-tracking-instance' is invalid" in workspace.apply_fails()


def test_a_revision_that_does_not_wait_for_the_user_cannot_log_in(open_workspace: Open) -> None:
    workspace = open_workspace()
    document = workspace.document
    version = document["resource"]["google_secret_manager_secret_version"]["backend_store_uri"]
    version["depends_on"] = []
    _nothing_waits(document, addresses.DATABASE_USER)
    for account in ("account", "jobs_account"):
        _nothing_waits(document, f"google_sql_user.{account}")
    del document["resource"]["google_sql_user"]
    workspace.document = document
    assert 'password authentication failed for user "mlflow"' in workspace.apply_fails()


def _remove(workspace: Workspace, grant: str, *, resource: bool) -> None:
    """Lets nothing wait for a grant, and removes the grant itself if `resource`."""
    document = workspace.document
    _nothing_waits(document, grant)
    if resource:
        kind, name = grant.split(".")
        del document["resource"][kind][name]
        document["resource"] = {kind: named for kind, named in document["resource"].items() if named}
    workspace.document = document


def _nothing_waits(document: dict[str, Any], address: str) -> None:
    for waiting in (body for named in document["resource"].values() for body in named.values()):
        if address in waiting.get("depends_on", ()):
            waiting["depends_on"].remove(address)
