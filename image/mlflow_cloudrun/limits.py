"""How large a request's body may be, by route; the table in image/README.md is made from this one."""

import re
from dataclasses import dataclass

KIB, MIB = 1024, 1024 * 1024
HEAVIEST = 256 * MIB
API = r"/(ajax-)?api/[23]\.0/mlflow/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """The limits of a group of routes.

    Attributes:
        routes: The group, for a person.
        path: What the paths of the group match from their start.
        size: Most bytes of a body, after it was unpacked.
        instead: What to do with more.
        why: Where the number comes from.
        heaviest: Most bytes of memory that MLflow may need for one body, as shapes.py estimates them.
        kind: How the body is read: `json`, `otlp` or `graphql`.
    """

    routes: str
    path: re.Pattern[str]
    size: int
    instead: str
    why: str
    heaviest: int = 64 * MIB
    kind: str = "json"


# The first one that matches holds.
LIMITS = (
    Limit(
        routes="`/v1/traces`",
        path=re.compile(r"/v1/traces/?$"),
        size=16 * MIB,
        instead="Export fewer spans at a time (OTEL_BSP_MAX_EXPORT_BATCH_SIZE), or put large contents into artifacts",
        why="spans with the documents that a model read; exporters send up to 512 spans at a time",
        heaviest=HEAVIEST,
        kind="otlp",
    ),
    Limit(
        routes="`/graphql`",
        path=re.compile(r"/graphql/?$"),
        size=64 * KIB,
        instead="Ask for less in one query",
        why="MLflow's page asks with 2 KiB",
        kind="graphql",
    ),
    Limit(
        routes="`.../datasets/ID/records`",
        path=re.compile(API + r"datasets/[^/]+/records/?$"),
        size=16 * MIB,
        instead="Add the records in several calls",
        why="MLflow's client sends all records of a call at once",
        heaviest=HEAVIEST,
    ),
    Limit(
        routes="`.../runs/log-inputs`",
        path=re.compile(API + r"runs/log-inputs/?$"),
        size=16 * MIB,
        instead="Log fewer datasets in one call, or without their profile",
        why="a dataset's profile may have 16 MiB in MLflow's schema",
        heaviest=HEAVIEST,
    ),
    Limit(
        routes="the rest of `/api/` and `/ajax-api/`",
        path=re.compile(r"/(ajax-)?api/"),
        size=4 * MIB,
        instead="Send it in several calls; large contents belong into artifacts",
        why="MLflow itself takes 1 MB in a batch of metrics, parameters and tags",
    ),
    Limit(
        routes="everything else",
        path=re.compile(""),
        size=64 * KIB,
        instead="Send no body: these are pages and files",
        why="no route there has a body",
    ),
)


class LimitError(Exception):
    """A request that is refused before MLflow sees it.

    Args:
        status: The answer's HTTP status.
        message: What is wrong and what to do, for a person.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def limit_of(path: str) -> Limit:
    """Returns the limit of a path."""
    return next(limit for limit in LIMITS if limit.path.match(path))


def readable(count: int) -> str:
    """Returns a number of bytes for a person."""
    if count % MIB == 0:
        return f"{count // MIB} MiB"
    return f"{count // KIB} KiB"


def table() -> str:
    """Returns the limits as a Markdown table."""
    rows = [f"| {limit.routes} | {readable(limit.size)} | {limit.why} |" for limit in LIMITS]
    return "\n".join(["| route | largest body | why |", "| --- | --- | --- |", *rows])
