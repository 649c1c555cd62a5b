"""How a machine is set up: the options of `python -m localcloud up`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.machine.iap import KEYS_PATH
from localcloud.machine.identity import SIGN_IN_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How the machine is set up.

    Attributes:
        label: The name of this local cloud, on everything that it makes.
        port: The front door's port; 0 for any.
        https: A host name and a second port, for https with a certificate that it makes itself; None for none.
        idle_s: Seconds without a request after which an instance ends that load does not ask for.
        users: People at this machine, by address: each gets a metadata server, so that Google's clients find them.
        uptime_checks: Uptime checks are made.
        disk_gb_mib: How many MiB of this machine stand for a GB of a database's disk.
        environment: Variable that each container gets -> its value, with the names of `sign_in_places` in braces.
    """

    label: str
    port: int
    https: tuple[str, int] | None
    idle_s: float
    users: tuple[str, ...]
    environment: Mapping[str, str]
    uptime_checks: bool = False
    disk_gb_mib: int = 1_024

    @classmethod
    def of(cls, options: argparse.Namespace, label: str) -> Options:
        """Reads the options of `add_options`."""
        return cls(
            label=label,
            port=options.port,
            https=options.https,
            idle_s=options.idle,
            users=tuple(options.user),
            environment=dict(options.env),
            uptime_checks=options.uptime_checks,
            disk_gb_mib=options.disk_gb,
        )


def sign_in_places(*, browser: str, container: str) -> dict[str, str]:
    """Where a program finds the endpoints of Google's sign-in.

    Args:
        browser: The origin of the sign-in as browsers call it.
        container: The same as containers call it.
    """
    return {
        "login_url": f"{browser}{SIGN_IN_PATH}",
        "token_url": f"{container}/token",
        "certs_url": f"{container}/certs",
        "iap_keys_url": f"{container}{KEYS_PATH}",
    }


_PLACES = sorted(sign_in_places(browser="", container=""))
_NAMED = ", ".join(f"{{{place}}}" for place in _PLACES)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a machine."""
    parser.add_argument("--port", type=int, default=0, help="the front door's port (default: any, see `status`)")
    parser.add_argument(
        "--https", type=_host_and_port, metavar="HOST:PORT", help="a second port, with a certificate for HOST"
    )
    parser.add_argument(
        "--idle", type=float, default=900, help="seconds after which an idle instance ends (default: 900, as Google's)"
    )
    parser.add_argument("--uptime-checks", action="store_true", help="run the uptime checks (default: off)")
    parser.add_argument(
        "--disk-gb",
        type=int,
        default=1_024,
        metavar="MIB",
        help="MiB of this machine that represent a GB of a database's disk, so that it can be filled (default: 1024)",
    )
    parser.add_argument("--user", action="append", default=[], help="a local user's e-mail address")
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        type=_variable,
        metavar="NAME=VALUE",
        help=f"a variable for each container; {_NAMED} in it stand for the local sign-in",
    )


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    rest = value
    for place in _PLACES:
        rest = rest.replace(f"{{{place}}}", "")
    if not (name and equals) or "{" in rest or "}" in rest:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, with no braces in it but {_NAMED}")
    return name, value
