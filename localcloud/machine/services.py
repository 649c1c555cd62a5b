"""Cloud Run's services as they run: each has one revision that takes the requests.

A new revision takes over when its first instances have passed their startup probe; the old one then ends what it has
begun. One that does not start leaves everything as it was.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from typing import TYPE_CHECKING

from localcloud.engine import Container, Engine, EngineError
from localcloud.machine import template
from localcloud.machine.instance import Instance, StartFailed
from localcloud.machine.revision import Revision
from localcloud.model import Object, Problem, Refused, objects, text
from localcloud.services import revision as rules
from localcloud.services.run import Service

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path
    from typing import Any

    from localcloud.resource import Cloud

_LOG = logging.getLogger(__name__)
_LOG_LINES = 40


class Services:
    """The services that run, by their full names."""

    def __init__(
        self, cloud: Cloud, engine: Engine, surroundings: template.Surroundings, *, logs: Path, idle_s: float
    ) -> None:
        """Nothing runs yet.

        Args:
            cloud: What is remembered.
            engine: Where containers run.
            surroundings: What the platform adds to each container.
            logs: The folder for the logs of containers that have ended.
            idle_s: Seconds without a request after which instances above the minimum end.
        """
        self.revisions: dict[str, Revision] = {}
        self._cloud = cloud
        self._engine = engine
        self._surroundings = surroundings
        self._logs = logs
        self._idle_s = idle_s
        self._retiring: set[asyncio.Task[None]] = set()

    async def deploy(self, service: Object, name: str) -> None:
        """Starts a revision and moves the requests to it.

        Raises:
            Refused: It did not start; with the reason and what its container printed.
        """
        revision = await self._revision(service, name)
        try:
            await revision.start()
        except StartFailed as failure:
            self._forget(revision)
            raise _not_ready(revision.spec.name, failure) from failure
        old = self.revisions.get(revision.spec.service)
        self.revisions[revision.spec.service] = revision
        _LOG.info("%s takes the requests of %s", revision.spec.name, revision.spec.service)
        if old:
            self._in_background(self._retire(old))

    async def remove(self, service: str) -> None:
        """Ends every instance of a service, the old revisions' too; returns when none is left."""
        revision = self.revisions.pop(service, None)
        if revision:
            self._in_background(self._retire(revision))
        await asyncio.gather(*self._retiring)

    async def resume(self) -> None:
        """Takes over the instances that run already, when the local cloud has been ended and started again."""
        for service in self._cloud.store.all(Service.type):
            name = text(service, "latest_ready_revision")
            try:
                revision = await self._revision(service, name)
            except Refused as refused:
                _LOG.error("%s cannot be resumed: %s", name, refused)
                continue
            self.revisions[revision.spec.service] = revision
            adopted: list[Instance] = []
            for container in self._engine.containers(
                f"{template.REVISION_LABEL}={self._surroundings.label}/{revision.spec.name}"
            ):
                adopted += await self._adopt(container, revision)
            if adopted:
                await revision.start(adopted)
            else:
                revision.keep()
        self._remove_strangers()

    async def _adopt(self, container: Container, revision: Revision) -> list[Instance]:
        try:
            instance = Instance(container, revision.spec, self._logs)
            await instance.wait_until_ready()
        except (EngineError, OSError, StartFailed) as error:
            _LOG.warning("%s: an instance could not be taken over: %s", revision.spec.name, error)
            return []
        return [instance]

    def _remove_strangers(self) -> None:
        """Removes containers of services that no revision here knows: what an interrupted deployment left."""
        known = {i.container.id for revision in self.revisions.values() for i in revision.instances}
        for container in self._engine.containers(f"{template.LABEL}={self._surroundings.label}"):
            if container.id not in known:
                container.remove()

    async def close(self) -> None:
        """Ends every instance."""
        await asyncio.gather(*(self.remove(service) for service in list(self.revisions)))

    async def _revision(self, service: Object, name: str) -> Revision:
        spec = await template.read(self._cloud, service, name, self._surroundings)
        project = text(service, "project")

        async def start() -> Instance:
            try:
                for wanted in objects(service, "template"):
                    rules.start(self._cloud, project, wanted)
            except Refused as refused:
                raise StartFailed(str(refused), "") from refused
            return await Instance.start(self._engine, spec, self._logs)

        return Revision(spec, start, idle_s=self._idle_s)

    async def _retire(self, revision: Revision) -> None:
        await revision.retire()
        self._forget(revision)

    def _forget(self, revision: Revision) -> None:
        shutil.rmtree(self._surroundings.secrets / revision.spec.name, ignore_errors=True)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


def _not_ready(name: str, failure: StartFailed) -> Refused:
    log = "\n".join(failure.log.splitlines()[-_LOG_LINES:])
    return Refused(
        Problem(
            f"Revision '{name}' is not ready and cannot serve traffic. {failure}",
            f"The container's log ends with:\n{log}" if log else "The container printed nothing.",
            ("template",),
        )
    )
