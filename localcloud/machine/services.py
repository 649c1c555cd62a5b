"""Cloud Run's services as they run: each has one revision that takes the requests.

A new revision takes over when its first instances have passed their startup probe; the old one then ends what it has
begun. One that does not start leaves everything as it was.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from localcloud.machine import template
from localcloud.machine.instance import Instance, StartFailed
from localcloud.machine.revision import Revision
from localcloud.services.revision import check_startable
from localcloud.services.run import Service, serving
from localcloud.terraform.model import Object, Problem, Refused, objects, text

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from containers.container import Container
    from containers.engine import Engine
    from localcloud.machine.journal import Journal
    from localcloud.resource import Cloud

_LOG = logging.getLogger(__name__)
_LOG_LINES = 40
_CLOSING_S = 10  # for requests under way when a service is removed, or all of them end


class Services:
    """The services that run, by their full names."""

    def __init__(
        self, cloud: Cloud, engine: Engine, surroundings: template.Surroundings, *, journal: Journal, idle_s: float
    ) -> None:
        """Nothing runs yet.

        Args:
            cloud: What is remembered.
            engine: Where containers run.
            surroundings: What the platform adds to each container.
            journal: Where what containers print and leave behind goes.
            idle_s: Seconds without a request after which an instance ends that load does not ask for.
        """
        self.revisions: dict[str, Revision] = {}
        self._cloud = cloud
        self._engine = engine
        self._surroundings = surroundings
        self._journal = journal
        self._idle_s = idle_s
        self._retiring: set[asyncio.Task[None]] = set()

    async def deploy(self, service: Object, name: str) -> None:
        """Starts a revision and moves the requests to it.

        Raises:
            Refused: It did not start; with the reason and what its container printed.
        """
        try:
            revision = await self._revision(service, name)
            await revision.start()
        except BaseException as error:
            self._forget(name)
            if isinstance(error, StartFailed):
                raise _not_ready(name.rpartition("/")[2], error) from error
            raise
        old = self.revisions.get(revision.spec.service)
        self.revisions[revision.spec.service] = revision
        _LOG.info("%s takes the requests of %s", revision.spec.name, revision.spec.service)
        if old:
            self._in_background(self._retire(old))

    async def remove(self, service: str) -> None:
        """Ends every instance of a service, the old revisions' too; returns when none is left."""
        revision = self.revisions.pop(service, None)
        if revision:
            self._in_background(self._retire(revision, within_s=_CLOSING_S))
        await asyncio.gather(*self._retiring)

    async def resume(self) -> None:
        """Takes over the instances that run already, when the local cloud has been ended and started again."""
        for service in map(partial(serving, self._cloud), self._cloud.store.all(Service.type)):
            if service is None:
                continue
            name = text(service, "revision")
            try:
                revision = await self._revision(service, name)
            except Refused as refused:
                _LOG.error("%s cannot be resumed: %s", name, refused)
                continue
            label = f"{template.REVISION_LABEL}={self._surroundings.label}/{revision.spec.name}"
            found = await asyncio.gather(*(self._adopt(it, revision) for it in self._engine.containers(label)))
            adopted = [instance for instance in found if instance]
            if adopted:
                await revision.start(adopted)
            else:
                revision.keep()
            # Not earlier: a request would start an instance beside those that are being taken over.
            self.revisions[revision.spec.service] = revision
        self._remove_strangers()

    async def _adopt(self, container: Container, revision: Revision) -> Instance | None:
        # It was ready before, or is of no use: a start that was cut short begins again.
        spec = revision.spec
        soon = replace(spec.startup, initial_delay_s=0, failure_threshold=min(spec.startup.failure_threshold, 3))
        try:
            return await Instance.adopt(container, replace(spec, startup=soon), self._journal)
        except StartFailed as failure:
            _LOG.warning("%s: instance %s is not taken over: %s", spec.name, container.id[:8], failure)
            return None

    def _remove_strangers(self) -> None:
        """Removes containers and files of services that no revision here knows: an interrupted deployment's."""
        known = {i.container.id for revision in self.revisions.values() for i in revision.instances}
        for container in self._engine.containers(f"{template.LABEL}={self._surroundings.label}"):
            if container.id not in known and template.TASK_LABEL not in container.labels():
                container.remove()
        names = {revision.spec.name for revision in self.revisions.values()}
        for folder in self._surroundings.secrets.glob("*"):
            if folder.name not in names:
                self._forget(folder.name)

    async def close(self) -> None:
        """Ends every instance."""
        await asyncio.gather(*(self.remove(service) for service in list(self.revisions)))

    async def _revision(self, service: Object, name: str) -> Revision:
        spec = await template.read(self._cloud, service, name, self._surroundings)
        project = text(service, "project")

        async def start() -> Instance:
            try:
                for wanted in objects(service, "template"):
                    check_startable(self._cloud, project, wanted, spec.name)
            except Refused as refused:
                raise StartFailed(str(refused), "") from refused
            return await Instance.start(self._engine, spec, self._journal)

        return Revision(spec, start, idle_s=self._idle_s)

    async def _retire(self, revision: Revision, within_s: float | None = None) -> None:
        await revision.retire(within_s)
        self._forget(revision.spec.name)

    def _forget(self, revision: str) -> None:
        """Removes the files of a revision's secrets."""
        shutil.rmtree(self._surroundings.secrets / revision.rpartition("/")[2], ignore_errors=True)

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
