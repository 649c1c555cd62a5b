"""Cloud SQL: instances that get the data of a backup, or of a time.

https://cloud.google.com/sql/docs/postgres/backup-recovery/restoring and
https://cloud.google.com/sql/docs/postgres/backup-recovery/pitr. Users come back with the data, each with the password
that it had then. Left out: restoring to another version or project, and to a time of an instance that is gone.
"""

from __future__ import annotations

import copy
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from localcloud.services import sql_backups as backups
from localcloud.services.sql import Instance, addresses, require_address, require_unprotected
from localcloud.services.sql_editions import keeps_log, recovery_switch
from localcloud.services.sql_keys import instance_key
from localcloud.services.sql_parts import Database, User, note_password
from localcloud.terraform.model import Object, Problem, Refused, objects, text

if TYPE_CHECKING:
    from localcloud.resource import Cloud


def find(cloud: Cloud, project: str, name: str) -> Object:
    """An instance.

    Raises:
        Refused: there is none.
    """
    found = cloud.store.get(Instance.type, f"{project}:{name}")
    if not found:
        message = f"Error 404: The Cloud SQL instance {name!r} does not exist in project {project}."
        raise Refused(Problem(message, "`gcloud sql instances list` lists those that do."))
    return found


def change(cloud: Cloud, instance: Object, **settings: bool) -> Object:
    """Changes settings of an instance, and returns it: past Terraform, which sees the difference."""
    changed = copy.deepcopy(instance)
    for block in objects(changed, "settings"):
        block.update(settings)
    return _keep(cloud, Instance.type, instance_key(instance), changed)


def move(cloud: Cloud, instance: Object, network: str) -> Object:
    """Gives an instance an address in a network, past Terraform; the public one stays, as long as it is wanted."""
    changed = copy.deepcopy(instance)
    for settings in objects(changed, "settings"):
        for block in objects(settings, "ip_configuration"):
            block["private_network"] = network
    require_address(cloud, changed)
    changed |= addresses(cloud, changed)
    cloud.platform.run_database_server(changed)
    return _keep(cloud, Instance.type, instance_key(instance), changed)


def restore(cloud: Cloud, instance: Object, backup: Object) -> None:
    """Replaces what an instance holds by a backup; its backup settings are reset.

    Raises:
        Refused: the backup is of another kind of server.
    """
    if backup["database_version"] != instance["database_version"]:
        versions = f"{text(backup, 'database_version')} to {text(instance, 'database_version')}"
        raise Refused(Problem(f"Error 400: a backup cannot be restored from {versions}."))
    log_switch = recovery_switch(instance)
    backups.note_break(cloud, instance)
    changed = copy.deepcopy(instance)
    for settings in objects(changed, "settings"):
        for block in objects(settings, "backup_configuration"):
            block.update({"enabled": False, log_switch: False})
    source: Object = {"project": backup["project"], "name": backup["instance"]}
    cloud.platform.restore_database_server(changed, source, text(backup, "id"), "")
    _keep(cloud, Instance.type, instance_key(instance), changed)
    _set_users(cloud, source, changed, backups.ended(backup))


def clone(cloud: Cloud, source: Object, name: str, until: datetime | None) -> Object:
    """Makes an instance of what another one held at a time; it has the same settings, its protection among them.

    Args:
        cloud: where.
        source: the instance.
        name: of the new one.
        until: the time; None for now.

    Raises:
        Refused: the name is taken, or the log does not lead to the time.
    """
    project = text(source, "project")
    if cloud.store.get(Instance.type, f"{project}:{name}"):
        raise Refused(Problem(Instance().conflict(cloud, {"name": name})))
    moment = (until or datetime.now(UTC)).astimezone(UTC)
    backup = backups.before(cloud, source, moment.timestamp())
    # A time without its zone is UTC to MySQL's log, and this form is understood by both.
    written = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment.microsecond else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    made: Object = {**copy.deepcopy(source), "name": name}
    made |= addresses(cloud, made)
    made["id"] = Instance().identify(made)
    time.sleep(cloud.circumstances.delays.instance)
    cloud.platform.restore_database_server(made, source, text(backup, "id"), written)
    _keep(cloud, Instance.type, f"{project}:{name}", made)
    for database in cloud.store.all(Database.type):
        if database.get("project") == project and database.get("instance") == source["name"]:
            copied: Object = {**database, "instance": name}
            copied["id"] = Database().identify(copied)
            copied["self_link"] = f"{text(made, 'self_link')}/databases/{text(database, 'name')}"
            _keep(cloud, Database.type, Database().key(copied), copied)
    _set_users(cloud, source, made, moment.timestamp())
    if keeps_log(made):
        backups.follow_log(cloud, made, None)
    return made


def delete(cloud: Cloud, instance: Object) -> None:
    """Deletes an instance and what belongs to it, past Terraform.

    Raises:
        Refused: it is protected.
    """
    require_unprotected(instance)
    cloud.platform.remove_database_server(instance)
    for part in (Database(), User()):
        for found in cloud.store.all(part.type):
            if part.owner(found) == (Instance.type, Instance().key(instance)):
                part.forget(cloud, found)
                cloud.store.remove(part.type, part.key(found))
    Instance().forget(cloud, instance)
    cloud.store.remove(Instance.type, Instance().key(instance))


def _set_users(cloud: Cloud, source: Object, target: Object, moment: float) -> None:
    """Gives an instance the users that another one, or itself, had at a time."""
    user_type, project, name = User(), text(target, "project"), text(target, "name")
    then = backups.users_at(cloud, text(source, "project"), text(source, "name"), moment)
    for found in cloud.store.all(User.type):
        if user_type.owner(found) == (Instance.type, f"{project}:{name}"):
            cloud.store.remove_secret(f"sql-user {user_type.key(found)}")
    for user, password in then:
        own: Object = {"project": project, "instance": name, "name": user["name"], "host": user["host"]}
        note_password(cloud, own, password)
        if not cloud.store.get(User.type, user_type.key(own)):
            own["id"] = user_type.identify(own)
            _keep(cloud, User.type, user_type.key(own), own)


def _keep(cloud: Cloud, type_name: str, key: str, values: Object) -> Object:
    cloud.store.put(type_name, key, values)
    cloud.store.mark_answered(type_name, key)
    return values
