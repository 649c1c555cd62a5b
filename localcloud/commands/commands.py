"""Which commands there are, and how one is run.

Whatever is not here is refused by name: a page whose commands run here word for word uses none that this cannot do.
Left out: authentication (whoever can use the local cloud's folder may do all of it), prompts (as with --quiet), and all
formats but tables, JSON and `value(...)`.
"""

from __future__ import annotations

import argparse
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from localcloud.resource import OWNER
from localcloud.terraform.model import Object, Problem, Refused, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from localcloud.machine.machine import Machine
    from localcloud.resource import Cloud

USAGE = 2  # gcloud's own exit status for arguments that it does not know


class Unknown(Exception):  # noqa: N818 - what happened
    """gcloud has it, perhaps, and the local cloud does not."""


@dataclass(kw_only=True)
class Call:
    """One call of a command.

    Attributes:
        cloud: where.
        machine: what runs there.
        project: the project that the caller means.
        region: the region of Cloud Run that it means.
        options: the command's own arguments.
        out: what it prints, line by line.
        told: what it tells a person beside that.
    """

    cloud: Cloud
    machine: Machine
    project: str
    region: str
    options: argparse.Namespace = field(default_factory=argparse.Namespace)
    out: list[str] = field(default_factory=list[str])
    told: list[str] = field(default_factory=list[str])

    def ask(self, method: str, path: str, body: Object) -> Any:  # noqa: ANN401 - JSON
        """Calls Google's interface as the account that the option --account names; returns its answer.

        Raises:
            Refused: it answers with an error.
        """
        request = urllib.request.Request(  # noqa: S310 - our own server
            self.machine.interface + path,
            method=method,
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.machine.access_token(self.options.account)}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = json.load(error)["error"]
            raise Refused(Problem(f"{said['status']}: {said['message']}")) from error

    def table(self, rows: Iterable[Object], columns: Mapping[str, str]) -> None:
        """Prints objects as the options --filter, --sort-by, --limit and --format say.

        Args:
            rows: the objects.
            columns: heading -> attribute.
        """
        names = {_camel(name): name for row in rows for name in row}
        found = [row for row in rows if all(_matches(row, part, names) for part in self.options.filter.split())]
        if order := self.options.sort_by:
            name = _attribute(names, order.removeprefix("~"))
            found.sort(key=lambda row: text(row, name), reverse=order.startswith("~"))
        found = found[: self.options.limit]
        if chosen := re.fullmatch(r"value\((\w+)\)", self.options.format):
            self.out += [text(row, _attribute(names, chosen[1])) for row in found]
        elif self.options.format == "json":
            self.out.append(json.dumps(found, indent=2))
        elif self.options.format:
            raise Unknown(f"--format={self.options.format}: the local cloud has only json and value(ATTRIBUTE)")
        elif not found:
            self.told.append("Listed 0 items.")
        else:
            cells = [[*columns], *([text(row, name) or "-" for name in columns.values()] for row in found)]
            widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
            self.out += ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command.

    Attributes:
        run: does it.
        positional: names of arguments in their order; one that ends in + takes several, one in ? may be left out.
        required: names of options with a value that must be there.
        flags: names of the other options with a value -> their defaults.
        switches: names of options without a value.
        lists: whether it prints a table.
    """

    run: Callable[[Call], None]
    positional: Sequence[str] = ()
    required: Sequence[str] = ()
    flags: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    switches: Sequence[str] = ()
    lists: bool = False

    def parser(self, name: str) -> argparse.ArgumentParser:
        """Returns what reads its arguments."""
        parser = _Parser(prog=f"gcloud {name}", add_help=False, allow_abbrev=False)
        for argument in self.positional:
            name = argument.rstrip("+?")
            parser.add_argument(name, nargs=argument.removeprefix(name) or None)
        for flag in self.required:
            parser.add_argument(f"--{flag}", required=True)
        for flag, default in {**self.flags, "project": "", "region": "", "account": OWNER}.items():
            parser.add_argument(f"--{flag}", default=default)
        for switch in self.switches:
            parser.add_argument(f"--{switch}", action="store_true")
        parser.add_argument("--quiet", "-q", action="store_true")
        if self.lists:
            for flag in ("filter", "sort-by", "format"):
                parser.add_argument(f"--{flag}", default="")
            parser.add_argument("--limit", type=int)
        return parser


def number(option: str, value: str) -> int:
    """Reads the whole number that an option has.

    Raises:
        Unknown: It is none.
    """
    if not value.isdigit():
        raise Unknown(f"argument --{option}: {value!r} is not a number")
    return int(value)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Unknown(f"{message} (the local cloud has this much of it: {self.format_usage().strip()})")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The result of a call: exit status, and the text for both streams."""

    status: int
    out: str = ""
    err: str = ""


def run(commands: Mapping[str, Command], call: Call, arguments: Sequence[str]) -> Answer:
    """Runs a command.

    Args:
        commands: name, such as `sql backups list` -> command.
        call: where, for whom.
        arguments: what follows `gcloud`.
    """
    status, problem, name = 0, "", ""
    try:
        name, rest = parted(commands, arguments)
        call.options = commands[name].parser(name).parse_args(rest)
        call.project, call.region = call.options.project or call.project, call.options.region or call.region
        commands[name].run(call)
    except Unknown as unknown:
        status, problem = USAGE, str(unknown)
    except Refused as refused:
        status, problem = 1, "\n".join(f"{it.summary}\n{it.detail}".strip() for it in refused.problems)
    error = f"ERROR: (gcloud.{name.replace(' ', '.')}) {problem}".replace("(gcloud.) ", "")
    return Answer(status=status, out=_lines(call.out), err=_lines([*call.told, *([error] if status else [])]))


def parted(commands: Mapping[str, Command], arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Finds the command's name among its arguments, and returns both apart."""
    words = [word for word in arguments if not word.startswith("-")]
    name = next((n for length in (4, 3, 2) if (n := " ".join(words[:length])) in commands), "")
    if not name:
        known = ", ".join(f"`{known}`" for known in sorted(commands))
        raise Unknown(f"the local cloud has no `gcloud {' '.join(words[:3])}`; it has {known}")
    rest = list(arguments)
    for word in name.split():
        rest.remove(word)
    return name, rest


def _lines(texts: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in texts)


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def _attribute(names: Mapping[str, str], name: str) -> str:
    """The attribute that a filter, an order or a format means; in one that nothing has, nothing is found."""
    return names.get(name, name)


def _matches(row: Object, part: str, names: Mapping[str, str]) -> bool:
    """Whether an object meets `KEY:VALUE` (it has the word) or `KEY=VALUE`."""
    found = re.fullmatch(r"(\w+)([:=])(.+)", part)
    if not found:
        raise Unknown(f"--filter={part}: the local cloud has KEY:VALUE and KEY=VALUE alone")
    value, wanted = text(row, _attribute(names, found[1])), found[3].strip("'\"")
    return value == wanted if found[2] == "=" else wanted in re.split(r"[^\w.-]+", value)
