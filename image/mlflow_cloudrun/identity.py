"""The caller and the things of a request: the address that the gate saw, and what is named, created and deleted.

The one place where the gate's word is read. oauth2-proxy sets it, when it has checked the credential, and drops a
client's own; behind Identity-Aware Proxy iap.py does. MLflow listens on the loopback interface only.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

USER_HEADER = b"x-forwarded-email"
MOST_IDS, LONGEST_ID = 1000, 256
# POST is also how these routes ask; their last segments.
READS = frozenset(
    {
        *("batchGetInfos", "calculate-filter-correlation", "get-latest-versions", "graphql", "metrics", "search"),
        *("presigned-download-url", "search-datasets"),
    }
)


def address(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Returns the address that the gate saw, in lower case; empty if it did not say."""
    return next((value.decode("latin-1").lower() for name, value in headers if name == USER_HEADER), "")


@dataclass(slots=True)
class Asked:
    """A request, as the log and the database tell of it.

    Attributes:
        by: The address of who sent it.
        operation: Its method and MLflow's route without parameters filled in; empty before the route is known.
        ids: The ids and names of the things that it is about.
        workspace: The team's, once it was named and is theirs; empty for that of everybody.
        users: MLflow's users by their addresses, once they were looked up for it (lookups.py).
    """

    by: str
    operation: str = ""
    ids: dict[str, None] = field(default_factory=dict[str, None])
    workspace: str = ""
    users: dict[str, Any] = field(default_factory=dict[str, Any])

    def name(self, *names: object) -> None:
        """Notes that it is about some things, by their ids or names."""
        for name in names:
            if name not in (None, "") and len(self.ids) < MOST_IDS:
                self.ids[str(name)[:LONGEST_ID]] = None

    @property
    def writes(self) -> bool:
        """Whether the operation changes something."""
        method, _, route = self.operation.partition(" ")
        return bool(route) and method not in ("GET", "HEAD", "OPTIONS") and route.rpartition("/")[2] not in READS

    def entry(self) -> dict[str, Any]:
        """Returns what a line of the log tells of it: `user`, a team's `workspace`, `write` if it changes something."""
        place = {"workspace": self.workspace} if self.workspace else {}
        write = {"write": {"operation": self.operation, "ids": [*self.ids]}} if self.writes else {}
        return {"user": self.by, **place, **write}


asked: ContextVar[Asked] = ContextVar("asked")
"""The request that is being answered, in whatever thread; there is none in a job."""
