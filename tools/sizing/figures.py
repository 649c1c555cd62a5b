"""Measured figures, read from the generated pages of docs/bench/, so that each number stands once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BENCH: Final = Path(__file__).parents[2] / "docs/bench"
CLIENTS: Final = "8"
"""At so many clients an instance is busy, and more of them wait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """The throughput of one instance, and the size of rows.

    Attributes:
        calls: Calls a second of one instance, by kind, while experiments are small.
        search_seconds: Seconds that a search keeps an instance busy, by the runs of an experiment, in rising order.
        search_p95_ms: Milliseconds within which 95 of 100 such searches are answered, by the runs likewise.
        database_cpu_ms: CPU time of the database for a call, in milliseconds.
        memory_mib: Memory of an instance after a load.
        rows: Bytes of a row, by engine and kind.
    """

    calls: Mapping[str, float]
    search_seconds: Mapping[int, float]
    search_p95_ms: Mapping[int, float]
    database_cpu_ms: float
    memory_mib: float
    rows: Mapping[str, Mapping[str, float]]


def read(folder: Path = BENCH) -> Figures:
    """Reads the figures from the pages of a folder."""
    service = (folder / "service.md").read_text()
    by_clients, _, cpu, growth = tables(service)[1:5]
    searches = {_count(row["runs"]): row for row in growth if row["call"] == "search"}
    rows = tables((folder / "rows.md").read_text())[0]
    (memory, *_) = (row for row in tables((folder / "image.md").read_text())[0] if "memory" in row["figure"])
    return Figures(
        calls={row["call"]: _number(row["path, calls/s"]) for row in by_clients if row["clients"] == CLIENTS},
        search_seconds={runs: 1 / _number(row["path, calls/s"]) for runs, row in searches.items()},
        search_p95_ms={
            runs: _number(row["path, p50 / p95 / p99 ms"].split(" / ")[1]) for runs, row in searches.items()
        },
        database_cpu_ms=next(_number(row["path, CPU ms a call"]) for row in cpu if row["part"] == "PostgreSQL"),
        memory_mib=_number(memory["ours"]),
        rows={
            engine: {row["row"]: _number(row[column]) for row in rows}
            for engine, column in (("postgresql", "PostgreSQL, bytes"), ("mysql", "MySQL, bytes"))
        },
    )


def tables(page: str) -> list[list[dict[str, str]]]:
    """The tables of a page in Markdown, each a list of rows by their columns."""
    blocks = re.findall(r"^\|.*\|\n\|[ |-]+\|\n(?:^\|.*\|\n?)*", page, re.MULTILINE)
    return [_rows([_cells(line) for line in block.splitlines()]) for block in blocks]


def _rows(lines: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    header, _, *rows = lines
    return [dict(zip(header, row, strict=True)) for row in rows]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _number(cell: str) -> float:
    return float(cell.split(maxsplit=1)[0].replace(",", ""))


def _count(cell: str) -> int:
    return int(_number(cell))
