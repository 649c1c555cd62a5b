"""`gcloud sql`: backups, instances.

https://cloud.google.com/sdk/gcloud/reference/sql
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from localcloud.commands.commands import Command, Unknown
from localcloud.services import sql_backups as backups
from localcloud.services import sql_recovery as recovery
from localcloud.services.sql import Instance
from localcloud.services.sql_parts import Database, User
from localcloud.terraform.model import text

if TYPE_CHECKING:
    from localcloud.commands.commands import Call
    from localcloud.resource import Resource


def _back_up(call: Call) -> None:
    instance = recovery.find(call.cloud, call.project, call.options.instance)
    backups.take(call.cloud, instance, description=call.options.description)
    call.told.append("Backing up Cloud SQL instance...done.")
    call.told.append(f"[{text(instance, 'self_link')}] backed up.")


def _list_backups(call: Call) -> None:
    columns = {
        "ID": "id",
        "WINDOW_START_TIME": "start_time",
        "ERROR": "error",
        "STATUS": "status",
        "INSTANCE": "instance",
    }
    if call.options.instance:
        found = backups.of_instance(call.cloud, call.project, call.options.instance)
    else:
        found, columns = backups.of_project(call.cloud, call.project), {"NAME": "name", **columns}
    call.table(found, columns)


def _restore(call: Call) -> None:
    options = call.options
    instance = recovery.find(call.cloud, call.project, options.restore_instance)
    backup = backups.find(call.cloud, call.project, options.id)
    owner = options.backup_instance or (options.restore_instance if options.id.isdigit() else text(backup, "instance"))
    if text(backup, "instance") != owner:
        raise Unknown(f"backup {options.id} is not one of {owner}: say --backup-instance={text(backup, 'instance')}")
    recovery.restore(call.cloud, instance, backup)
    call.told.append("Restoring Cloud SQL instance...done.")
    call.told.append(f"Restored [{text(instance, 'self_link')}].")


def _clone(call: Call) -> None:
    options, until = call.options, None
    source = recovery.find(call.cloud, call.project, options.source)
    if options.point_in_time:
        try:
            until = datetime.fromisoformat(options.point_in_time)
        except ValueError as error:
            message = f"argument --point-in-time: {error}: write it as 2026-01-31T10:15:00Z"
            raise Unknown(message) from error
        if not until.tzinfo:
            raise Unknown(f"argument --point-in-time: {options.point_in_time} has no time zone: write UTC as Z")
    made = recovery.clone(call.cloud, source, options.destination, until)
    call.told.append("Cloning Cloud SQL instance...done.")
    call.told.append(f"Created [{text(made, 'self_link')}].")


def _patch(call: Call) -> None:
    options = call.options
    wanted = [options.deletion_protection, options.no_deletion_protection, bool(options.network)]
    if wanted.count(True) != 1:
        raise Unknown(
            "say --deletion-protection, --no-deletion-protection or --network: the local cloud patches nothing else"
        )
    instance = recovery.find(call.cloud, call.project, options.instance)
    if options.network:
        recovery.move(call.cloud, instance, options.network)
    else:
        recovery.change(call.cloud, instance, deletion_protection_enabled=options.deletion_protection)
    call.told.append("Patching Cloud SQL instance...done.")
    call.told.append(f"Updated [{text(instance, 'self_link')}].")


def _delete(call: Call) -> None:
    instance = recovery.find(call.cloud, call.project, call.options.instance)
    recovery.delete(call.cloud, instance)
    call.told.append("Deleting Cloud SQL instance...done.")
    call.told.append(f"Deleted [{text(instance, 'self_link')}].")


def _list_instances(call: Call) -> None:
    found = [it for it in call.cloud.store.all(Instance.type) if text(it, "project") == call.project]
    rows = [{**it, "tier": text(it, "settings", 0, "tier"), "state": "RUNNABLE"} for it in found]
    columns = {"NAME": "name", "DATABASE_VERSION": "database_version", "LOCATION": "region", "TIER": "tier"}
    call.table(rows, columns | {"STATUS": "state"})


def _list_parts(kind: type[Resource]) -> Command:
    def run(call: Call) -> None:
        instance = recovery.find(call.cloud, call.project, call.options.instance)
        owner = (Instance.type, Instance().key(instance))
        found = [it for it in call.cloud.store.all(kind.type) if kind().owner(it) == owner]
        call.table(found, {"NAME": "name"})

    return Command(run=run, required=["instance"], lists=True)


COMMANDS = {
    "sql backups create": Command(run=_back_up, required=["instance"], flags={"description": ""}),
    "sql backups list": Command(run=_list_backups, flags={"instance": ""}, lists=True),
    "sql backups restore": Command(
        run=_restore, positional=["id"], required=["restore-instance"], flags={"backup-instance": ""}
    ),
    "sql instances clone": Command(run=_clone, positional=["source", "destination"], flags={"point-in-time": ""}),
    "sql instances delete": Command(run=_delete, positional=["instance"]),
    "sql instances list": Command(run=_list_instances, lists=True),
    "sql instances patch": Command(
        run=_patch,
        positional=["instance"],
        switches=["deletion-protection", "no-deletion-protection"],
        flags={"network": ""},
    ),
    "sql databases list": _list_parts(Database),
    "sql users list": _list_parts(User),
}
