"""`python -m localcloud`: Terraform's documents for Google Cloud, planned and applied on this machine."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud import server, session
from localcloud.faults import KINDS, Fault
from localcloud.store import Store, erase

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand.

    Returns:
        The exit status; of `exec`, that of the command.
    """
    options = _parser().parse_args(arguments)
    home: Path = options.home.resolve()
    match options.subcommand:
        case "exec":
            return _exec(home, options.command, _serve_options(options))
        case "serve":
            server.serve(home, options.documents, quiet=options.quiet, late=options.late, fault=options.fault)
        case "status":
            _status(home)
        case _:
            _reset(home)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localcloud", description=__doc__)
    parser.add_argument(
        "--home",
        type=Path,
        default=os.environ.get("LOCALCLOUD_HOME", ".localcloud"),
        help="the folder that holds the local cloud (default: $LOCALCLOUD_HOME, or .localcloud here)",
    )
    subcommands = parser.add_subparsers(dest="subcommand", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--quiet",
        type=float,
        default=server.QUIET,
        help="seconds without a call before grants and APIs take effect (default: %(default)s)",
    )
    shared.add_argument(
        "--late",
        default="",
        metavar="REGEX",
        help="the grants or APIs that take effect last, as the log names them (default: one by chance)",
    )
    shared.add_argument(
        "--fault",
        type=Fault.parse,
        default=Fault(),
        metavar="KIND:OPERATION",
        help=f"break one operation of the log; KIND is one of {', '.join(KINDS)}",
    )
    run = subcommands.add_parser(
        "exec", parents=[shared], help="run a command, such as terraform or cdktf, against the local cloud"
    )
    run.add_argument("command", nargs=argparse.REMAINDER, help="-- and the command")
    serve = subcommands.add_parser(
        "serve", parents=[shared], help="serve until stdin ends; prints TF_REATTACH_PROVIDERS"
    )
    serve.add_argument(
        "--documents", type=Path, default=Path(), help="where the Terraform documents are (default: here)"
    )
    subcommands.add_parser("status", help="list what there is")
    subcommands.add_parser("reset", help="forget everything")
    return parser


def _serve_options(options: argparse.Namespace) -> list[str]:
    return ["--quiet", str(options.quiet), "--late", options.late, "--fault", str(options.fault)]


def _exec(home: Path, command: list[str], serve_options: list[str]) -> int:
    command = command[1:] if command[:1] == ["--"] else command
    if not command:
        print("usage: python -m localcloud exec -- terraform plan", file=sys.stderr)
        return 64
    with session.session(home, Path(), *serve_options) as environment:
        program = shutil.which(command[0], path=environment["PATH"])
        if not program:
            print(f"[localcloud] {command[0]}: command not found", file=sys.stderr)
            return 127
        # Ctrl-C reaches the command too: it decides when to end, and the cloud must be there until then.
        signal.signal(signal.SIGINT, _stay)
        with subprocess.Popen([program, *command[1:]], env=environment) as process:  # noqa: S603 - what the user asked for
            return process.wait()


def _stay(_signal: int, _frame: object) -> None:
    """Does nothing; unlike an ignored signal, a handled one is not ignored by the command too."""


def _status(home: Path) -> None:
    if not (home / "cloud.db").exists():
        print(f"There is no local cloud in {home}.")
        return
    store = Store(home)
    for type_name, key in store.listing():
        if type_name.startswith("google_"):
            print(f"{type_name:44} {key}")
    store.close()


def _reset(home: Path) -> None:
    if home.exists():
        with server.holding(home):
            erase(home)
    print(f"Forgot everything in {home}.")


if __name__ == "__main__":
    sys.exit(main())
