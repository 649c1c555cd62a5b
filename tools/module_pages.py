"""The generated parts of the modules' pages: tables out of the documents, examples, and what the policies say."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from stacks.settings.cross_rules import CROSS_RULES
from stacks.settings.derived import FLAGS
from stacks.variables import declarations
from stacks.variables.declarations import REQUIRED, Variable, iap_variables, module_variables, service_variables
from tools.overview import resource_table, role_table
from tools.scan import CONFIG, scan

_APIS: Final = "modules/apis/"
_SERVICE: Final = "modules/service/"
_IAP: Final = "modules/iap/"
_EXISTING: Final = ("examples/existing-bucket-and-database/main.tf", "examples/existing-bucket-and-database/inputs.tf")
_ADOPT: Final = ("examples/adopt/main.tf", "examples/adopt/imports.tf", "examples/adopt/inputs.tf")

EXAMPLES: Final = {
    "minimal": ("only what is required", 19),
    "mysql": ("MySQL instead of PostgreSQL", 19),
    "two-trackers": ("two in one project; no name collides", 38),
    "teams": ("one for each team, by `for_each`", 41),
    "customer-key": ("all data at rest under a key of your own", 25),
    "private-network": ("a database without a public address, in a VPC network", 19),
    "iap": ("Identity-Aware Proxy as the gate: no OAuth client, and groups", 21),
    "domain": ("a domain with a load balancer, and a limit of requests for each address", 30),
    "existing-bucket-and-database": ("only the service, on a bucket, an instance and an account that exist", 16),
    "adopt": ("takes over what was made by hand", 19),
    "complete": ("production, with every setting", 60),
}
"""What each example shows, and how many resources Terraform manages after an apply of it (a test counts them)."""

_WAIVER: Final = re.compile(r"^  - (CKV\w+) # (.+)$", re.MULTILINE)


def contents(documents: dict[str, dict[str, Any]], folder: Path) -> dict[str, dict[str, str]]:
    """The generated parts of every page below module/, by page and name.

    Args:
        documents: The modules' documents by path.
        folder: The folder module/, which holds the examples.
    """
    return {
        "README.md": {
            "examples": _examples(folder / "examples"),
            "prod": _prod_table(),
            "not-expressed": _not_expressed(),
            "apis": ", ".join(f"`{api}`" for api in documents[f"{_APIS}outputs.tf.json"]["output"]["apis"]["value"]),
        },
        "REFERENCE.md": {"variables": _variable_table(module_variables()), **_tables(documents, "")},
        f"{_SERVICE}README.md": {
            "existing": _hcl(folder, _EXISTING),
            "variables": _variable_table(service_variables()),
            **_tables(documents, _SERVICE),
        },
        f"{_IAP}README.md": {
            "example": _hcl(folder, ("examples/iap/main.tf",)),
            "variables": _variable_table(iap_variables()),
            **_tables(documents, _IAP),
        },
        f"{_APIS}README.md": {"outputs": _output_table(documents[f"{_APIS}outputs.tf.json"])},
        "ADOPT.md": {"adopt": _hcl(folder, _ADOPT)},
        "POLICY.md": {"checks": _check_table(folder), "waivers": _waiver_table()},
    }


def _tables(documents: dict[str, dict[str, Any]], module: str) -> dict[str, str]:
    return {
        "outputs": _output_table(documents[f"{module}outputs.tf.json"]),
        "resources": resource_table(documents[f"{module}main.tf.json"]),
        "roles": role_table(documents[f"{module}main.tf.json"]),
        "providers": _provider_table(documents[f"{module}versions.tf.json"]),
    }


def _hcl(folder: Path, files: tuple[str, ...]) -> str:
    return "```hcl\n" + "\n".join((folder / file).read_text() for file in files) + "```"


def _examples(folder: Path) -> str:
    """Every example: where it is, what it shows, the lines of its call, and the resources that it manages."""
    lines = {name: len((folder / name / "main.tf").read_text().splitlines()) for name in EXAMPLES}
    rows = [
        (f"[{name}](examples/{name}/main.tf)", what, str(lines[name]), str(count))
        for name, (what, count) in EXAMPLES.items()
    ]
    return _table(("example", "what it shows", "lines", "resources"), rows)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    cells = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells)


def _variable_table(variables: dict[str, Variable]) -> str:
    rows = [
        (f"`{path}`", f"`{one.type}`" if not one.attributes else "object", _default(one), one.description)
        for name, variable in variables.items()
        for path, one in ((name, variable), *((f"{name}.{key}", inner) for key, inner in variable.attributes.items()))
    ]
    return _table(("variable", "type", "default", "what it is"), rows)


def _default(variable: Variable) -> str:
    if variable.default is REQUIRED:
        return "(required)"
    return "by `profile`" if variable.default is None else f"`{json.dumps(variable.default)}`"


def _prod_table() -> str:
    rows = [(f"`{path}`", f"`{json.dumps(dev)}`", f"`{json.dumps(prod)}`") for path, (dev, prod) in FLAGS.items()]
    return _table(("attribute", "dev", "prod"), rows)


def _output_table(document: dict[str, Any]) -> str:
    rows = [(f"`{name}`", one["description"]) for name, one in sorted(document["output"].items())]
    return _table(("output", "what it is"), rows)


def _provider_table(document: dict[str, Any]) -> str:
    settings = document["terraform"]
    rows = [("terraform", "", f"`{settings['required_version']}`")]
    rows += [(name, one["source"], f"`{one['version']}`") for name, one in settings["required_providers"].items()]
    return _table(("name", "source", "versions"), rows)


def _not_expressed() -> str:
    def lines() -> Iterator[str]:
        for section, why in declarations.LEFT_OUT.items():
            yield f"- The settings `{section}.*`. {why}"
            for rule in CROSS_RULES:
                if section != "iap" and any(path.startswith(f"{section}.") for path in rule.reads()):
                    yield f"- The rule `{rule.name}`, which reads them."

    return "\n".join(lines())


def _check_table(folder: Path) -> str:
    """Returns the verdict of every check on the resources of both modules."""
    result = scan(folder)
    counts = Counter((one.check_id, one.name) for one in result.passed)
    failed = Counter((one.check_id, one.name) for one in result.failed)
    rows = [
        (f"`{check}`", name, str(counts[check, name]), str(failed[check, name]))
        for check, name in sorted(counts.keys() | failed.keys(), key=_by_number)
    ]
    return _table(("check", "what it demands", "passed", "failed"), rows)


def _by_number(check: tuple[str, str]) -> tuple[str, int]:
    prefix, _, number = check[0].rpartition("_")
    return prefix, int(number)


def _waiver_table() -> str:
    rows = [(f"`{check}`", reason) for check, reason in _WAIVER.findall(CONFIG.read_text())]
    return _table(("check", "why it does not hold here"), rows)
