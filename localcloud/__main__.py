"""`python -m localcloud`: Terraform's documents for Google Cloud, planned and applied on this machine."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from containers.engine import EngineError
from containers.private import NotPrivate, private_folder
from localcloud import clock, daemon, server, session
from localcloud.circumstances import PROJECT, Circumstances, add_options
from localcloud.machine.oauth_clients import OAuthClients
from localcloud.machine.options import Options
from localcloud.machine.options import add_options as add_machine_options
from localcloud.store import Store, erase
from localcloud.terraform.faults import KINDS, Fault
from localcloud.terraform.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


_UNAVAILABLE = 69  # EX_UNAVAILABLE


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand.

    Returns:
        The exit status; of `exec`, that of the command.
    """
    options = _parser().parse_args(arguments)
    home = options.home.resolve()
    try:
        if home.exists():
            private_folder(home)
        return _run(home, options)
    except (EngineError, NotPrivate) as error:
        print(f"[localcloud] {error}", file=sys.stderr)
        return _UNAVAILABLE


def _run(home: Path, options: argparse.Namespace) -> int:
    match options.subcommand:
        case "exec":
            return _exec(home, options.command, _serve_options(options))
        case "serve":
            server.serve(
                home,
                options.documents,
                traffic=Traffic(options.quiet, options.late),
                fault=options.fault,
                circumstances=Circumstances.of(options),
            )
        case "up":
            return _up(home, options)
        case "gcloud":
            return _gcloud(home, options.arguments)
        case "down":
            daemon.stop(home)
        case "oauth-client":
            _make_oauth_client(home, options)
        case "logs":
            _logs(home)
        case "alerts" | "clock" | "status" as asked:
            {"alerts": _list_alerts, "clock": _push_clock, "status": _status}[asked](home, options)
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
        help="the grants or APIs that take effect last, named as in the log (default: one at random)",
    )
    shared.add_argument(
        "--fault",
        type=Fault.parse,
        default=Fault(),
        metavar="KIND:OPERATION",
        help=f"break one operation of the log; KIND is one of {', '.join(KINDS)}",
    )
    add_options(shared)
    run = subcommands.add_parser(
        "exec", parents=[shared], help="run a command, such as terraform or cdktf, against the local cloud"
    )
    run.add_argument("command", nargs=argparse.REMAINDER, help="-- and the command")
    google = subcommands.add_parser("gcloud", help="run one of Google's commands against what `up` started")
    google.add_argument("arguments", nargs=argparse.REMAINDER, help="the command, such as: sql backups list")
    serve = subcommands.add_parser(
        "serve", parents=[shared], help="serve until stdin ends; prints TF_REATTACH_PROVIDERS"
    )
    serve.add_argument(
        "--documents", type=Path, default=Path(), help="where the Terraform documents are (default: here)"
    )
    _add_up(subcommands)
    subcommands.add_parser("down", help="stop what `up` started; what is stored stays")
    client = subcommands.add_parser(
        "oauth-client", help="create an OAuth client, as in Google's console; print its secret"
    )
    client.add_argument("client_id")
    client.add_argument("--redirect-uri", action="append", default=[], help="redirect URI (can be repeated)")
    client.add_argument("--new-secret", action="store_true", help="use a different secret")
    alerts = subcommands.add_parser("alerts", help="list open incidents, and the policies that are not evaluated")
    alerts.add_argument("--all", action="store_true", help="closed ones as well")
    alerts.add_argument("--format", choices=("table", "json"), default="table")
    pushed = subcommands.add_parser("clock", help="print the time of the local cloud, or push it forward: `clock +7d`")
    pushed.add_argument("by", nargs="?", type=_duration, default=timedelta(), help="such as +7d, 90m or 1h30m")
    subcommands.add_parser("logs", help="print the containers' output")
    subcommands.add_parser("status", help="list what there is")
    subcommands.add_parser("reset", help="stop what `up` started, and forget everything")
    return parser


def _add_up(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    up = subcommands.add_parser("up", help="create the resources as real parts, in containers, until `down`")
    add_machine_options(up)
    up.add_argument("--project", **PROJECT)


def _serve_options(options: argparse.Namespace) -> list[str]:
    circumstances = Circumstances.of(options).arguments()
    return ["--quiet", str(options.quiet), "--late", options.late, "--fault", str(options.fault), *circumstances]


def _up(home: Path, options: argparse.Namespace) -> int:
    # Imported here, for the other subcommands should not wait for the web server.
    from localcloud.machine.sites import PortTaken  # noqa: PLC0415

    try:
        daemon.up(home, Path(), Options.of(options, daemon.label(home)), Circumstances.of(options))
    except PortTaken as error:
        print(f"[localcloud] {error}", file=sys.stderr)
        return _UNAVAILABLE
    return 0


def _gcloud(home: Path, arguments: list[str]) -> int:
    from localcloud.commands.server import ask  # noqa: PLC0415

    told = daemon.facts(home)
    if not told:
        print("[localcloud] gcloud: nothing runs here: `python -m localcloud up` first", file=sys.stderr)
        return _UNAVAILABLE
    answer = ask(told["gcloud"], arguments, os.environ)
    sys.stdout.write(answer.out)
    sys.stderr.write(answer.err)
    return answer.status


def _make_oauth_client(home: Path, options: argparse.Namespace) -> None:
    store = Store(home)
    made = OAuthClients(store).make(
        options.client_id, redirect_uris=options.redirect_uri, new_secret=options.new_secret
    )
    print(made)
    store.close()


def _logs(home: Path) -> None:
    for path in sorted((home / "logs").glob("*.log")):
        print(path.read_text(), end="")
    for container in daemon.instances(home):
        print(container.logs(), end="")


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


def _duration(value: str) -> timedelta:
    try:
        return clock.duration(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


@contextmanager
def _books(home: Path) -> Generator[Store | None]:
    """Opens the store; returns None, and prints so, where there is no local cloud."""
    if not (home / "cloud.db").exists():
        print(f"There is no local cloud in {home}.")
        yield None
        return
    store = Store(home)
    yield store
    store.close()


def _list_alerts(home: Path, options: argparse.Namespace) -> None:
    # Imported here, for the other subcommands should not wait for what evaluates conditions.
    from localcloud.incidents import incidents, lines  # noqa: PLC0415

    with _books(home) as store:
        for line in lines(store, incidents(store, closed=options.all), options.format) if store else ():
            print(line)


def _push_clock(home: Path, options: argparse.Namespace) -> None:
    with _books(home) as store:
        if store:
            now = clock.Clock(store).push(options.by) if options.by else clock.Clock(store).now()
            print(f"{now:%Y-%m-%dT%H:%M:%SZ}")


def _status(home: Path, _options: argparse.Namespace) -> None:
    with _books(home) as store:
        for type_name, key in store.listing() if store else ():
            if type_name.startswith("google_"):
                print(f"{type_name:44} {key}")
    told = daemon.facts(home)
    for name, port in told["ports"].items() if told else ():
        print(f"{name:44} 127.0.0.1:{port}")
    for container in daemon.instances(home) if told else ():
        print(f"{container.labels()['localcloud.revision']:44} container {container.id[:12]}")


def _reset(home: Path) -> None:
    if home.exists():
        daemon.stop(home)
        with server.holding(home):
            daemon.clear(home)
            erase(home)
    print(f"Forgot everything in {home}.")


if __name__ == "__main__":
    sys.exit(main())
