"""Measurements of what runs: instances of services, executions, and the databases that a policy reads.

Left out: CPU, network and disk traffic. The disk of a database is the folder of its files on this machine, against the
size that was asked for, or less (`--disk-gb`), so that it can be filled.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from containers.engine import EngineError
from localcloud.machine.logbook import Source
from localcloud.machine.periodic import Periodic
from localcloud.services import sql
from localcloud.services.alerting import AlertPolicy
from localcloud.terraform.model import Object, Refused, at, objects, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.machine.database import DatabaseServers
    from localcloud.machine.executions import Executions
    from localcloud.machine.services import Services
    from localcloud.machine.telemetry import Telemetry
    from localcloud.resource import Cloud

_SQL = "cloudsql.googleapis.com/database"
_GIB, _MIB = 1024**3, 1024**2


class Sampler(Periodic):
    """Measures from `open` to `close`.

    Args:
        cloud: What there is.
        telemetry: Where points go.
        services: Of which instances are counted.
        executions: Those that are under way.
        databases: Which are asked, if a policy asks.
        disk_gb_mib: How many MiB of this machine stand for a GB of their disks.
    """

    every_s = 15

    def __init__(  # noqa: PLR0913 - each is something that is measured, or how
        self,
        cloud: Cloud,
        telemetry: Telemetry,
        services: Services,
        executions: Executions,
        databases: DatabaseServers,
        *,
        disk_gb_mib: int = 1_024,
    ) -> None:
        super().__init__(telemetry.logbook.clock)
        self._cloud = cloud
        self._telemetry = telemetry
        self._services = services
        self._executions = executions
        self._databases = databases
        self._disk_gb_mib = disk_gb_mib

    async def tick(self) -> None:
        """Measures once."""
        self._count_instances()
        if any(_SQL in source for source in self._filters()):
            for instance in self._cloud.store.all(sql.Instance.type):
                await self._ask(instance)

    def _filters(self) -> Iterator[str]:
        for policy in self._cloud.store.all(AlertPolicy.type):
            for condition in objects(policy, "conditions"):
                yield text(condition, "condition_threshold", 0, "filter")
                yield text(condition, "condition_absent", 0, "filter")

    def _count_instances(self) -> None:
        for name, revision in self._services.revisions.items():
            _, project, _, location, _, service = name.split("/")
            names = {"configuration_name": service, "location": location, "service_name": service}
            names["revision_name"] = revision.spec.name
            source = Source(project=project, resource="cloud_run_revision", resource_labels=names, labels={})
            live = [instance for instance in revision.instances if not instance.ended.is_set()]
            active = sum(instance.in_flight > 0 for instance in live)
            for state, count in (("active", active), ("idle", len(live) - active)):
                self._telemetry.measure(source, "run.googleapis.com/container/instance_count", count, state=state)
        for job in self._cloud.store.all("google_cloud_run_v2_job"):
            names = {"job_name": text(job, "name"), "location": text(job, "location")}
            source = Source(project=text(job, "project"), resource="cloud_run_job", resource_labels=names, labels={})
            count = len(self._executions.under_way(text(job, "id")))
            self._telemetry.measure(source, "run.googleapis.com/job/running_executions", count)

    async def _ask(self, instance: Object) -> None:
        project, name = text(instance, "project"), text(instance, "name")
        labels = {"database_id": f"{project}:{name}", "region": text(instance, "region")}
        source = Source(project=project, resource="cloudsql_database", resource_labels=labels, labels={})
        found = None
        with contextlib.suppress(EngineError, Refused, ValueError):
            found = await asyncio.to_thread(self._databases.measure, instance)
        self._telemetry.measure(source, f"{_SQL}/up", found is not None)
        if found is None:
            return
        size = at(instance, "settings", 0, "disk_size")
        quota = (size if isinstance(size, int | float) and size else 10) * _GIB
        used = found.disk_mib * _GIB / self._disk_gb_mib
        self._telemetry.measure(source, f"{_SQL}/disk/bytes_used", used)
        self._telemetry.measure(source, f"{_SQL}/disk/quota", quota)
        self._telemetry.measure(source, f"{_SQL}/disk/utilization", used / quota)
        self._telemetry.measure(source, f"{_SQL}/memory/quota", found.memory_limit_mib * _MIB)
        self._telemetry.measure(source, f"{_SQL}/memory/usage", found.memory_mib * _MIB)
        self._telemetry.measure(source, f"{_SQL}/memory/total_usage", found.memory_mib * _MIB)
        self._telemetry.measure(source, f"{_SQL}/memory/utilization", found.memory_mib / found.memory_limit_mib)
        self._telemetry.measure(source, f"{_SQL}/network/connections", sum(found.connections.values()))
        for database, count in found.connections.items():
            if text(instance, "database_version").startswith("POSTGRES"):
                self._telemetry.measure(source, f"{_SQL}/postgresql/num_backends", count, database=database)
