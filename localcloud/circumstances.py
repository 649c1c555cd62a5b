"""The circumstances of a run: projects' numbers, who deploys, what the organization forbids, how long things take.

All of it is switched off unless asked for: a bare local cloud has one owner, no organization, and takes no time.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Any

CONSTRAINTS = (
    "gcp.resourceLocations",
    "gcp.restrictNonCmekServices",
    "iam.allowedPolicyMemberDomains",
    "run.allowedIngress",
    "run.managed.requireInvokerIam",
    "sql.restrictPublicIp",
)
"""The constraints of organization policies that can stop a deployment, and so have a meaning here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delays:
    """How long things take, in seconds.

    Attributes:
        grant: from the call that makes a grant to its effect.
        api: from the call that enables an API to its effect.
        instance: to make a Cloud SQL instance.
        patience: for how long a container tries to reach its database before it ends.
    """

    grant: float = 0
    api: float = 0
    instance: float = 0
    patience: float = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """The circumstances of one local cloud.

    Attributes:
        numbers: project id -> project number, where somebody said it.
        deployer: who calls, as bindings name them; "" may do everything.
        policies: constraint -> the values that it allows; none for a constraint that is simply on.
        delays: how long things take.
    """

    numbers: dict[str, str] = field(default_factory=dict[str, str])
    deployer: str = ""
    policies: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    delays: Delays = Delays()

    @classmethod
    def of(cls, options: argparse.Namespace) -> Circumstances:
        """Reads the options of `add_options`."""
        return cls(
            numbers=dict(options.project),
            deployer=getattr(options, "deployer", ""),
            policies=dict(getattr(options, "org_policy", ())),
            delays=getattr(options, "delays", Delays()),
        )

    def arguments(self) -> list[str]:
        """The command line's options for these circumstances, which `of` reads back."""
        delays = self.delays
        return [
            *(f"--project={name}={number}" for name, number in self.numbers.items()),
            *(f"--org-policy={name}={','.join(values)}" for name, values in self.policies.items()),
            f"--deployer={self.deployer}",
            f"--delays=grant={delays.grant},api={delays.api},instance={delays.instance},patience={delays.patience}",
        ]


def _id_and_number(text: str) -> tuple[str, str]:
    name, _, number = text.partition("=")
    return name, number


PROJECT: dict[str, Any] = {
    "action": "append",
    "default": [],
    "type": _id_and_number,
    "metavar": "ID=NUMBER",
    "help": "a project's number; else one is made of its id",
}
"""The option that a cloud of real parts also has."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a cloud on paper."""
    parser.add_argument("--project", **PROJECT)
    parser.add_argument(
        "--deployer", default="", metavar="MEMBER", help="who calls, such as user:ada@example.com (default: an owner)"
    )
    parser.add_argument(
        "--org-policy",
        action="append",
        default=[],
        type=_policy,
        metavar="CONSTRAINT[=VALUE,...]",
        help=f"an organization policy that is on, of {', '.join(CONSTRAINTS)}; with the values that it allows",
    )
    parser.add_argument(
        "--delays",
        default=Delays(),
        type=_delays,
        metavar="NAME=SECONDS,...",
        help="seconds that things take: grant, api, instance, and the patience of a container (default: 0)",
    )


def _policy(text: str) -> tuple[str, tuple[str, ...]]:
    name, _, values = text.removeprefix("constraints/").partition("=")
    if name not in CONSTRAINTS:
        raise argparse.ArgumentTypeError(f"{name!r} has no meaning here; there are {', '.join(CONSTRAINTS)}")
    return name, tuple(filter(None, values.split(",")))


def _delays(text: str) -> Delays:
    try:
        return Delays(**{name: float(seconds) for name, seconds in (part.split("=") for part in text.split(","))})
    except (TypeError, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is not like grant=2,instance=6") from None
