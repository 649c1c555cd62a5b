"""The size of MLflow's rows on disk, on both engines, written by the image's own store; rewrites docs/bench/rows.md."""

import sys
from pathlib import Path
from typing import Final

from bench.inside import asked, versions
from containers.engine import Engine
from harness import local
from harness.databases import MySql

SCRIPT: Final = Path(__file__).parent / "rows_from_inside.py"
DOCUMENT: Final = Path(__file__).parents[1] / "docs/bench/rows.md"
GIVE_UP_S: Final = 1_200
KINDS: Final = {
    "runs": ("run", "with its name, which is a tag"),
    "params": ("parameter", "8 letters of key, 6 of value"),
    "tags": ("tag", "16 letters of key, 12 of value"),
    "metrics": ("metric", "a key of a run: its first value, and its latest"),
    "values": ("value", "each further one of a metric"),
    "traces": ("trace", "without its spans"),
    "spans": ("span", "with 1,000 letters of inputs and outputs"),
}
"""By the names that rows_from_inside.py prints: what a row is called, and what is in it."""
PAGE: Final = """\
# A row, measured

By `make bench-rows`: MLflow's own store, in the image, writes thousands of rows of each kind into an empty database. A
row costs what tables and indexes have grown by. PostgreSQL {postgresql}; for MySQL, {mysql}, also InnoDB.

| row | PostgreSQL, bytes | MySQL, bytes | what it is |
| --- | --- | --- | --- |
{rows}

[docs/sizing.md](../sizing.md) rests on these. Neither the log for point-in-time recovery nor backups are in them.
"""


def page(postgresql: dict[str, float], mysql: dict[str, float], versions: dict[str, str]) -> str:
    """Returns the page.

    Args:
        postgresql: Bytes of a row, by kind.
        mysql: The same there.
        versions: What each server calls itself, by the engine.
    """
    rows = (f"| {name} | {postgresql[kind]:.0f} | {mysql[kind]:.0f} | {what} |" for kind, (name, what) in KINDS.items())
    return PAGE.format(rows="\n".join(rows), **versions)


def main() -> int:
    """Measures, prints and writes."""
    with local.platform(Engine()) as platform, local.scratch_folder() as folder:
        postgres, mysql = platform.postgres, MySql(folder / "mysql")
        try:
            database = postgres.create()
            text = page(
                asked(platform, SCRIPT, postgres.uri(database), postgres.sockets, timeout_s=GIVE_UP_S),
                asked(platform, SCRIPT, mysql.uri(), mysql.sockets, timeout_s=GIVE_UP_S),
                versions(postgres, mysql),
            )
        finally:
            mysql.stop()
    DOCUMENT.write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
