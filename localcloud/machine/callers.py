"""The gate in front of each server of the local cloud: it knows who may call.

The servers listen on loopback, where more than this person's programs can reach them: every web page in a browser here,
and every container. Each is known by what it cannot choose for itself:

- a page by what its browser says: the name it was loaded from (one that is bound to 127.0.0.1 makes a server its own
  origin: https://en.wikipedia.org/wiki/DNS_rebinding), `Origin`, and `Sec-Fetch-Site`
  (https://www.w3.org/TR/fetch-metadata/). No answer allows another origin to read it, nor a public page to send more
  than a simple request (https://wicg.github.io/private-network-access/);
- a container by its address (`engine.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from containers.engine import HOST
from containers.loopback import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OWN_NAMES = frozenset({LOOPBACK, "localhost"})
_SITE, _MODE, _DESTINATION = "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"


@dataclass(frozen=True, kw_only=True, slots=True)
class Callers:
    """The callers that one server admits.

    Attributes:
        names: The names by which it is called; None for any: it looks at them itself.
        containers: Containers may also call it.
        destinations: Paths to which a page of any origin may send the person.
        links: Names in the query of further addresses to which it may.
        pages: Pages of any origin may call it: it asks for credentials of its own.
    """

    names: frozenset[str] | None = OWN_NAMES
    containers: bool = False
    destinations: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    pages: bool = False

    def refusal(self, request: web.Request) -> web.HTTPException | None:
        """Returns the answer to a request that must not be served."""
        if not self.containers and request.remote != LOOPBACK:
            return web.HTTPForbidden(text=f"only programs of this machine may call this, not {request.remote}\n")
        hosts = request.headers.getall(hdrs.HOST, [])
        if self.names is not None and (len(hosts) != 1 or name_of(hosts[0]) not in self.names):
            names = ", ".join(sorted(self.names))
            return web.HTTPMisdirectedRequest(text=f"call this server by one of its names: {names}\n")
        if not self.pages and _is_of_another_page(request) and not self._leads_here(request):
            return web.HTTPForbidden(text="a web page of another origin may not call this\n")
        return None

    def _leads_here(self, request: web.Request) -> bool:
        arrives = (request.headers.get(_MODE), request.headers.get(_DESTINATION)) == ("navigate", "document")
        leads = request.path in self.destinations or not self.links.isdisjoint(request.query)
        return arrives and request.method in {hdrs.METH_GET, hdrs.METH_HEAD} and leads


PROGRAMS = Callers()
"""Programs of this machine."""
CONTAINERS = Callers(names=OWN_NAMES | {HOST}, containers=True)
"""Also containers. Nobody is anybody by that alone: any container may call, and whoever rules the person's DNS may bind
the name that containers use to this machine, and make it a page's own. What is served must ask for credentials."""
EVERYBODY = Callers(names=None, containers=True, pages=True)
"""Whoever reaches it, as on the internet."""


def admit(application: web.Application, callers: Callers) -> None:
    """Lets an application serve these callers alone; to be called once, before it is served."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = callers.refusal(request)
        if refusal:
            raise refusal
        return await handler(request)

    application.middlewares.insert(0, check)


def name_of(host: str) -> str:
    """The name in a Host header, in lower case, without the port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()


def _is_of_another_page(request: web.Request) -> bool:
    origin = request.headers.get(hdrs.ORIGIN)
    own = f"{request.scheme}://{request.headers.get(hdrs.HOST, '')}"
    return request.headers.get(_SITE, "none") not in {"none", "same-origin"} or origin not in {None, own}
