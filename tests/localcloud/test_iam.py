"""Who may do what: bindings are evaluated as IAM does, conditions and all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localcloud.resource import Cloud
from localcloud.services.iam import ProjectMember, Target, allows
from localcloud.services.secretmanager import SecretMember
from localcloud.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.terraform.model import Object

ADA = "user:ada@example.com"
SECRET = Target(
    project="acme",
    name="projects/acme/secrets/a",
    type="secretmanager.googleapis.com/Secret",
    member_type=SecretMember.type,
    member_key="projects/acme/secrets/a",
)
ACCESS = "secretmanager.versions.access"
ACCESSOR = "roles/secretmanager.secretAccessor"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    store = Store(tmp_path)
    yield Cloud(store)
    store.close()


def binding(project: str = "acme", role: str = ACCESSOR, member: str = ADA, expression: str = "") -> Object:
    condition: list[Object] = [{"title": "t", "expression": expression}] if expression else []
    return {"id": "k", "project": project, "role": role, "member": member, "condition": [*condition]}


@pytest.mark.parametrize("member", [ADA, "allUsers", "allAuthenticatedUsers"])
def test_a_role_on_the_project_counts_for_everything_in_it(cloud: Cloud, member: str) -> None:
    cloud.store.put(ProjectMember.type, "k", binding(member=member))
    assert allows(cloud, ADA, ACCESS, SECRET)


@pytest.mark.parametrize(
    "other",
    [
        binding(project="other"),
        binding(member="user:eve@example.com"),
        binding(role="roles/cloudsql.client"),
        binding(role="roles/unheard.of"),
    ],
)
def test_another_project_member_or_role_does_not_count(cloud: Cloud, other: Object) -> None:
    cloud.store.put(ProjectMember.type, "k", other)
    assert not allows(cloud, ADA, ACCESS, SECRET)


@pytest.mark.parametrize(
    "expression",
    [
        'resource.name == "projects/acme/secrets/a"',
        'resource.service == "secretmanager.googleapis.com" && resource.type.endsWith("/Secret")',
    ],
)
def test_a_condition_that_holds_lets_the_role_count(cloud: Cloud, expression: str) -> None:
    cloud.store.put(ProjectMember.type, "k", binding(expression=expression))
    assert allows(cloud, ADA, ACCESS, SECRET)


@pytest.mark.parametrize(
    "expression",
    ['resource.name.startsWith("projects/acme/secrets/b")', '!(resource.name in ["projects/acme/secrets/a"])'],
)
def test_a_condition_that_does_not_hold_takes_the_role_away(cloud: Cloud, expression: str) -> None:
    cloud.store.put(ProjectMember.type, "k", binding(expression=expression))
    assert not allows(cloud, ADA, ACCESS, SECRET)


def test_a_role_on_a_secret_counts_for_that_secret(cloud: Cloud) -> None:
    key = f"projects/acme/secrets/a/{ACCESSOR}/{ADA}"
    cloud.store.put(SecretMember.type, key, binding() | {"id": key})
    assert allows(cloud, ADA, ACCESS, SECRET)


def test_a_role_on_a_secret_does_not_count_for_one_whose_name_begins_alike(cloud: Cloud) -> None:
    key = f"projects/acme/secrets/ab/{ACCESSOR}/{ADA}"
    cloud.store.put(SecretMember.type, key, binding() | {"id": key})
    assert not allows(cloud, ADA, ACCESS, SECRET)


def test_what_one_person_may_do_not_everybody_may(cloud: Cloud) -> None:
    cloud.store.put(ProjectMember.type, "k", binding())
    assert not allows(cloud, "allUsers", ACCESS, SECRET)
