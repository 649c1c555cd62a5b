"""Cloud SQL: the books of backups, and the passwords that users had.

https://cloud.google.com/sql/docs/postgres/backup-recovery/backups. Left out: daily backups (one is taken when the log
begins, so that there is a time to go back to), their number and age, sizes, and final backups.
"""

from __future__ import annotations

import json
import time
import uuid
from datetime import datetime
from typing import TYPE_CHECKING

from localcloud.resource import now
from localcloud.services.sql_editions import keeps_log
from localcloud.services.sql_keys import instance_key
from localcloud.terraform.model import Object, Problem, Refused, at, text

if TYPE_CHECKING:
    from localcloud.resource import Cloud

_BACKUP = "sql.backup"
_USER = "sql.user"  # whoever had a password; which ones, and since when, is a secret
_BREAK = "sql.break"  # the time at which the log of an instance ended, or other data came


def take(cloud: Cloud, instance: Object, *, kind: str = "ON_DEMAND", description: str = "") -> Object:
    """Takes a backup of an instance, and returns its entry.

    Args:
        cloud: where.
        instance: the google_sql_database_instance.
        kind: ON_DEMAND or AUTOMATED.
        description: what a person said about it.
    """
    number = int(time.time() * 1000)
    while cloud.store.get(_BACKUP, str(number)):
        number += 1
    started = now()
    cloud.platform.back_up_database_server(instance, str(number))
    backup: Object = {
        "id": str(number),
        "name": f"projects/{text(instance, 'project')}/backups/{uuid.uuid4()}",
        "project": text(instance, "project"),
        "instance": text(instance, "name"),
        "database_version": text(instance, "database_version"),
        "region": text(instance, "region"),
        "type": kind,
        "description": description,
        "start_time": started,
        "end_time": now(),
        "status": "SUCCESSFUL",
        "has_log": keeps_log(instance),
    }
    cloud.store.put(_BACKUP, str(number), backup)
    return backup


def follow_log(cloud: Cloud, instance: Object, prior: Object | None) -> None:
    """Takes the backup that the log of an instance starts from, or notes that the log has ended.

    Args:
        cloud: where.
        instance: the instance, whose server runs.
        prior: the instance before a change.
    """
    if keeps_log(instance) and not _since_break(cloud, instance):
        take(cloud, instance, kind="AUTOMATED")
    if prior and keeps_log(prior) and not keeps_log(instance):
        note_break(cloud, instance)


def of_instance(cloud: Cloud, project: str, instance: str) -> list[Object]:
    """The backups of an instance, the newest first, whether it still exists or not."""
    return [backup for backup in of_project(cloud, project) if text(backup, "instance") == instance]


def of_project(cloud: Cloud, project: str) -> list[Object]:
    """All backups, the newest first."""
    found = [backup for backup in cloud.store.all(_BACKUP) if text(backup, "project") == project]
    return sorted(found, key=lambda backup: int(text(backup, "id")), reverse=True)


def find(cloud: Cloud, project: str, name: str) -> Object:
    """A backup by its id or its full name.

    Raises:
        Refused: there is none.
    """
    for backup in of_project(cloud, project):
        if name in {text(backup, "id"), text(backup, "name"), text(backup, "name").rpartition("/")[2]}:
            return backup
    message = f"Error 404: The backup {name} does not exist in project {project}."
    raise Refused(Problem(message, "`gcloud sql backups list --instance=INSTANCE` lists them."))


def before(cloud: Cloud, instance: Object, until: float) -> Object:
    """The newest backup from which the log leads to a time, in seconds since the epoch.

    Raises:
        Refused: the instance keeps no log, or the time lies outside of it.
    """
    if not keeps_log(instance):
        message = f"Error 400: Point-in-time recovery is not enabled for instance {text(instance, 'name')}."
        raise Refused(Problem(message, "Only what is in a backup can be brought back."))
    if until > time.time():
        raise Refused(Problem("Error 400: the point in time lies in the future.", "It is in UTC, and ends with Z."))
    breaks = [at(one, "time") for one in cloud.store.all(_BREAK) if one.get("key") == instance_key(instance)]
    for backup in of_instance(cloud, text(instance, "project"), text(instance, "name")):
        end = ended(backup)
        is_cut = any(isinstance(time_, float) and end < time_ <= until for time_ in breaks)
        if backup.get("has_log") is True and end <= until and not is_cut:
            return backup
    message = f"Error 400: no backup of {text(instance, 'name')} and its log lead to this time."
    raise Refused(Problem(message, "Take a later time, or a backup of `gcloud sql backups list`."))


def forget(cloud: Cloud, instance: Object) -> None:
    """Removes what belongs to an instance that is deleted, unless it says that its backups stay."""
    if at(instance, "settings", 0, "retain_backups_on_delete") is True:
        return
    for backup in of_instance(cloud, text(instance, "project"), text(instance, "name")):
        cloud.store.remove(_BACKUP, text(backup, "id"))


def note_break(cloud: Cloud, instance: Object) -> None:
    """Remembers that the log of an instance leads on from later backups alone."""
    key = instance_key(instance)
    cloud.store.put(_BREAK, f"{key} {time.time_ns()}", {"key": key, "time": time.time()})


def note_password(cloud: Cloud, user: Object, key: str, password: str) -> None:
    """Remembers since when a user has a password, "" when it is dropped: what is restored has the users of its time."""
    names: Object = {part: text(user, part) for part in ("project", "instance", "name", "host")}
    cloud.store.put(_USER, key, {**names, "key": key})
    cloud.store.put_secret(f"{key} since", json.dumps([*_passwords(cloud, key), (time.time(), password)]))


def users_at(cloud: Cloud, project: str, instance: str, until: float) -> list[tuple[Object, str]]:
    """The users that an instance had at a time, each with its password then."""
    found: list[tuple[Object, str]] = []
    for user in cloud.store.all(_USER):
        if user["project"] == project and user["instance"] == instance:
            then = [password for since, password in _passwords(cloud, text(user, "key")) if since <= until]
            found += [(user, then[-1])] if then and then[-1] else []
    return found


def _passwords(cloud: Cloud, key: str) -> list[tuple[float, str]]:
    return json.loads(cloud.store.secret(f"{key} since") or "[]")


def _since_break(cloud: Cloud, instance: Object) -> list[Object]:
    """The backups of what an instance holds now that its log leads on from."""
    breaks = [it["time"] for it in cloud.store.all(_BREAK) if it.get("key") == instance_key(instance)]
    last = max((time_ for time_ in breaks if isinstance(time_, float)), default=0.0)
    backups = of_instance(cloud, text(instance, "project"), text(instance, "name"))
    return [backup for backup in backups if backup.get("has_log") is True and ended(backup) > last]


def ended(backup: Object) -> float:
    """When a backup ended, in seconds since the epoch."""
    return datetime.fromisoformat(text(backup, "end_time")).timestamp()
