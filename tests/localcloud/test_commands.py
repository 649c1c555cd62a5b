"""The commands of gcloud that bring something back, as Google means them; on paper, where nothing runs."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from localcloud.commands.commands import Call, run
from localcloud.commands.server import COMMANDS
from localcloud.platform import Platform
from localcloud.resource import Cloud
from localcloud.services.run import Service
from localcloud.services.sql import Instance
from localcloud.services.sql_parts import Database, User, log_in
from localcloud.store import Store
from localcloud.terraform.model import Object, Refused, at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.commands.commands import Answer
    from localcloud.machine.machine import Machine

PROJECT, REGION = "acme", "europe-west1"
RESTORED = "restored"


@dataclass
class Recorder(Platform):
    """Remembers what servers were told."""

    calls: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])

    def restore_database_server(self, instance: Object, source: Object, backup: str, until: str) -> None:
        self.calls.append((RESTORED, str(instance["name"]), str(source["name"]), backup, until))


class Desk:
    """Somebody with a shell, and a cloud with an instance `db`."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.platform = Recorder()
        self.logs = folder / "logs"
        self.cloud = Cloud(Store(folder), self.platform, project=PROJECT, region=REGION)
        self.make("db", **settings)

    def make(self, name: str, **settings: object) -> None:
        protection = {"enabled": True, "point_in_time_recovery_enabled": True}
        described = cast(
            "Object",
            {
                "project": PROJECT,
                "region": REGION,
                "name": name,
                "database_version": "POSTGRES_17",
                "deletion_protection": False,
                "settings": [{"tier": "db-f1-micro", "backup_configuration": [protection], **settings}],
            },
        )
        described |= Instance().create(self.cloud, described, {})
        self.keep(Instance(), described)

    def keep(self, resource: Instance | User | Database | Service, values: Object) -> None:
        self.cloud.store.put(resource.type, resource.key(values), values)
        self.cloud.store.mark_answered(resource.type, resource.key(values))

    def set_password(self, password: str, instance: str = "db") -> None:
        user: Object = {"project": PROJECT, "instance": instance, "name": "app", "host": ""}
        User().create(self.cloud, user, {"password_wo": password})
        self.keep(User(), user)

    def can_log_in(self, instance: str, password: str) -> bool:
        try:
            log_in(self.cloud, f"{PROJECT}:{REGION}:{instance}", "app", password)
        except Refused:
            return False
        return True

    def gcloud(self, command: str) -> Answer:
        machine = cast("Machine", SimpleNamespace(logs=self.logs))
        call = Call(cloud=self.cloud, machine=machine, project=PROJECT, region=REGION)
        return run(COMMANDS, call, shlex.split(command))

    def does(self, command: str) -> str:
        answer = self.gcloud(command)
        assert answer.status == 0, answer.err
        return answer.out

    def fails(self, command: str) -> str:
        answer = self.gcloud(command)
        assert (answer.status, answer.out) in {(1, ""), (2, "")}
        return answer.err

    def setting(self, name: str, instance: str = "db") -> object:
        found = self.cloud.store.get(Instance.type, f"{PROJECT}:{instance}")
        return (
            at(found, "settings", 0, *name.split("."), 0)
            if "." not in name
            else at(found, "settings", 0, name.split(".", maxsplit=1)[0], 0, name.split(".")[1])
        )


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.cloud.store.close()


def moment() -> str:
    """A time, in whole microseconds as Google has it, between what was before and what comes."""
    time.sleep(0.002)
    written = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    time.sleep(0.002)
    return written


LAST = "sql backups list --instance=db --sort-by=~id --limit=1 --format=value(id)"


def test_a_log_begins_with_a_backup_and_more_are_taken_by_hand(desk: Desk) -> None:
    desk.does("sql backups create --instance=db --description=before")
    lines = desk.does("sql backups list --instance=db").splitlines()
    assert lines[0].split() == ["ID", "WINDOW_START_TIME", "ERROR", "STATUS", "INSTANCE"]
    assert [line.split()[2:] for line in lines[1:]] == [["-", "SUCCESSFUL", "db"]] * 2
    newest = desk.does(LAST).strip()
    assert newest == lines[1].split()[0]


def test_an_instance_without_a_log_has_only_the_backups_that_were_asked_for(tmp_path: Path) -> None:
    desk = Desk(tmp_path, backup_configuration=[{"enabled": True, "point_in_time_recovery_enabled": False}])
    assert desk.gcloud("sql backups list --instance=db").err == "Listed 0 items.\n"
    assert "Point-in-time recovery is not enabled for instance db" in desk.fails("sql instances clone db rescue")
    desk.cloud.store.close()


def test_a_clone_has_the_users_of_its_time_and_the_settings_of_now(desk: Desk) -> None:
    desk.set_password("then")
    wanted = moment()
    desk.set_password("now")
    desk.does("sql instances patch db --deletion-protection")
    desk.does(f"sql instances clone db rescue --point-in-time={wanted}")
    first = desk.does("sql backups list --instance=db --format=value(id)").strip()
    assert desk.platform.calls == [(RESTORED, "rescue", "db", first, wanted)]
    assert (desk.can_log_in("rescue", "then"), desk.can_log_in("rescue", "now")) == (True, False)
    assert (desk.can_log_in("db", "then"), desk.can_log_in("db", "now")) == (False, True)
    assert desk.does("sql users list --instance=rescue").split() == ["NAME", "app"]
    assert "The instance is protected" in desk.fails("sql instances delete rescue")
    desk.does("sql instances patch rescue --no-deletion-protection")
    desk.does("sql instances delete rescue")
    assert desk.does("sql instances list --format=value(name)").split() == ["db"]
    assert "does not exist" in desk.fails("sql users list --instance=rescue")


def test_a_user_that_comes_with_a_clone_is_made_again_with_another_password(desk: Desk) -> None:
    desk.set_password("then")
    desk.does(f"sql instances clone db rescue --point-in-time={moment()}")
    desk.set_password("mine", instance="rescue")
    assert (desk.can_log_in("rescue", "mine"), desk.can_log_in("db", "then")) == (True, True)


def test_a_restore_brings_back_the_users_and_resets_the_backup_settings(desk: Desk) -> None:
    desk.set_password("then")
    desk.does("sql backups create --instance=db")
    backup = desk.does(LAST).strip()
    desk.set_password("now")
    desk.does(f"sql backups restore {backup} --restore-instance=db")
    assert (desk.can_log_in("db", "then"), desk.can_log_in("db", "now")) == (True, False)
    assert desk.setting("backup_configuration.enabled") is False
    assert desk.setting("backup_configuration.point_in_time_recovery_enabled") is False


def test_a_backup_of_another_instance_is_asked_for_by_both_names(desk: Desk) -> None:
    desk.make("other")
    desk.does("sql backups create --instance=other")
    backup = desk.does("sql backups list --instance=other --limit=1 --format=value(id)").strip()
    assert "say --backup-instance=other" in desk.fails(f"sql backups restore {backup} --restore-instance=db")
    desk.does(f"sql backups restore {backup} --restore-instance=db --backup-instance=other")
    assert desk.platform.calls == [(RESTORED, "db", "other", backup, "")]


def test_a_time_before_the_log_in_the_future_or_across_a_restore_is_refused(desk: Desk) -> None:
    early = "no backup of db and its log lead to this time"
    assert early in desk.fails("sql instances clone db rescue --point-in-time=2020-01-31T10:15:00Z")
    assert "lies in the future" in desk.fails("sql instances clone db rescue --point-in-time=2999-01-31T10:15:00Z")
    backup = desk.does(LAST).strip()
    before = moment()
    desk.does(f"sql backups restore {backup} --restore-instance=db")
    assert "not enabled" in desk.fails(f"sql instances clone db rescue --point-in-time={before}")
    protection: Object = {"enabled": True, "point_in_time_recovery_enabled": True}
    restored = desk.cloud.store.get(Instance.type, f"{PROJECT}:db")
    assert restored
    applied: Object = {**restored, "settings": [{"tier": "db-f1-micro", "backup_configuration": [protection]}]}
    between = moment()
    Instance().update(desk.cloud, applied, {}, restored)
    desk.keep(Instance(), applied)
    assert early in desk.fails(f"sql instances clone db rescue --point-in-time={between}")
    desk.does(f"sql instances clone db rescue --point-in-time={before}")
    desk.does(f"sql instances clone db again --point-in-time={moment()}")
    newest = desk.does(LAST).strip()
    assert [call[3] for call in desk.platform.calls[1:]] == [backup, newest]


@pytest.mark.parametrize("retained", [True, False])
def test_backups_outlive_an_instance_that_says_so(tmp_path: Path, retained: bool) -> None:  # noqa: FBT001
    desk = Desk(tmp_path, retain_backups_on_delete=retained)
    desk.set_password("then")
    desk.does("sql backups create --instance=db")
    desk.does("sql instances delete db")
    found = desk.does("sql backups list --filter=instance:db --sort-by=~id --format=value(name)").split()
    assert len(found) == 2 * retained
    if retained:
        desk.make("db")
        desk.does(f"sql backups restore {found[0]} --restore-instance=db")
        assert desk.can_log_in("db", "then")
    desk.cloud.store.close()


def test_names_stay_taken(desk: Desk) -> None:
    assert "instanceAlreadyExists" in desk.fails("sql instances clone db db")


def test_a_service_is_closed_until_the_next_apply(desk: Desk) -> None:
    service: Object = {"project": PROJECT, "location": REGION, "name": "app", "ingress": "INGRESS_TRAFFIC_ALL"}
    desk.keep(Service(), service)
    desk.does("run services update app --ingress=internal")
    changed = desk.cloud.store.get(Service.type, Service().key(service))
    assert at(changed, "ingress") == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    assert "none of all, internal" in desk.fails("run services update app --ingress=none")
    assert "Cannot find service [other] in region europe-west1" in desk.fails("run services update other --ingress=all")


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("compute instances list", "the local cloud has no `gcloud compute instances list`; it has `logging read"),
        ("", "the local cloud has no `gcloud `; it has"),
        ("sql backups create", "the following arguments are required: --instance"),
        ("sql backups create --instance=db --async", "unrecognized arguments: --async"),
        ("sql backups create --instance=none", "instance 'none' does not exist in project acme"),
        ("sql backups restore 7 --restore-instance=db", "The backup 7 does not exist in project acme"),
        ("sql backups list --instance=db --format=yaml", "the local cloud has only json and value(ATTRIBUTE)"),
        ("sql backups list --filter=type>7", "the local cloud has KEY:VALUE and KEY=VALUE alone"),
        ("sql instances clone db x --point-in-time=yesterday", "write it as 2026-01-31T10:15:00Z"),
        ("sql instances clone db x --point-in-time=2026-01-31T10:15:00", "has no time zone"),
        ("sql instances patch db", "the local cloud patches nothing else"),
        ("sql instances delete db --project=other", "does not exist in project other"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(desk: Desk, command: str, problem: str) -> None:
    assert problem in desk.fails(command)
