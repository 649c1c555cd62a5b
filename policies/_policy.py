"""The edge to checkov: turns a rule, a plain function over a resource, into a check, and checkov's data into `Block`s.

A rule reads a synthesized document (`terraform_json`) and a plan (`terraform_plan`) alike. What cannot be known there
(an expression in the document, a value of after the apply in the plan) is `UNKNOWN`, and is never held against the
resource: the plan resolves expressions, so both are scanned.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final, cast

from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.terraform.checks.resource.base_resource_check import BaseResourceCheck

# checkov runs in any folder; rules share lists with the image (image/mlflow_cloudrun/environment.py).
sys.path.append(str(Path(__file__).parent.parent))


class Unknown(Enum):
    """A value that Terraform knows only later."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
Value = str | int | float | bool | list["Value"] | Unknown | None

# `$${` and `%%{` are Terraform's escapes of a literal:
# https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences
_EXPRESSION = re.compile(r"(?<!\$)\$\{|(?<!%)%\{")


class Block:
    """A resource, or a block inside one, the same for a document and for a plan.

    Attributes:
        document: The file that the resource is in, relative to the scanned folder.
        kind: The resource's type, such as `google_storage_bucket`; the same for its inner blocks.
    """

    def __init__(self, raw: Mapping[str, Any], *, document: str, kind: str, planned: bool) -> None:
        self._raw = raw
        self.document = document
        self.kind = kind
        self._planned = planned

    def blocks(self, path: str) -> list[Block]:
        """All blocks at a dotted path such as `template.containers.env`."""
        name, _, rest = path.partition(".")
        found = _dicts(self._raw.get(name))
        inner = [Block(raw, document=self.document, kind=self.kind, planned=self._planned) for raw in found]
        return [block for outer in inner for block in outer.blocks(rest)] if rest else inner

    def value(self, path: str) -> Value:
        """The value at a dotted path, through the first block of each name.

        Returns:
            None when it is not set, `UNKNOWN` when it is an expression or known only after the apply.
        """
        name, _, rest = path.partition(".")
        if rest and (inner := self.blocks(name)):
            return inner[0].value(rest)
        if rest or name not in self._raw:
            return self._absent(name)
        value = _unwrap(self._raw[name])
        return UNKNOWN if value in self._references() else _resolved(value)

    def written(self, name: str) -> str:
        """The attribute's text as it stands there, expressions and all; empty when there is none."""
        value = _unwrap(self._raw.get(name))
        return value if isinstance(value, str) else ""

    def _absent(self, name: str) -> Value:
        # A plan names every attribute and leaves out only what is known after the apply; a document leaves out what is
        # unset: https://developer.hashicorp.com/terraform/internals/json-format#values-representation
        return UNKNOWN if self._planned and name not in self._raw else None

    def _references(self) -> list[str]:
        # Where a plan has no value, checkov puts in the expression's first reference, and lists all of them here.
        return [reference for group in self._raw.get("references_", []) for reference in group]


def _dicts(raw: object) -> list[Mapping[str, Any]]:
    items = cast("list[object]", raw) if isinstance(raw, list) else [raw]
    return [cast("Mapping[str, Any]", item) for item in items if isinstance(item, dict)]


def _unwrap(raw: object) -> object:
    """The value that checkov wrapped into a list of one."""
    items = cast("list[object]", raw) if isinstance(raw, list) else [raw]
    return items[0] if len(items) == 1 else items


def _resolved(value: object) -> Value:
    if isinstance(value, list):
        return [_resolved(item) for item in cast("list[object]", value)]
    if isinstance(value, str):
        return UNKNOWN if _EXPRESSION.search(value) else value
    return value if isinstance(value, bool | int | float) else None


def template_of(workload: Block) -> str:
    """The path of the block with the containers of a Cloud Run service or job."""
    return "template.template" if workload.kind == "google_cloud_run_v2_job" else "template"


def at_its_place(resource: Block, place: Mapping[str, str], *, of_replica: str) -> list[Value]:
    """Returns the value that each type has in its own place; a secret has it in every replica.

    Args:
        resource: What is looked at.
        place: type -> path of the attribute.
        of_replica: The path in a replica of a secret.
    """
    if resource.kind == "google_secret_manager_secret":
        return [replica.value(of_replica) for replica in resource.blocks("replication.user_managed.replicas")]
    return [resource.value(place[resource.kind])]


Rule = Callable[[Block], Iterable[str]]


class _Check(BaseResourceCheck):
    def __init__(self, rule: Rule, *, check_id: str, name: str, resources: Sequence[str], guide: str) -> None:
        super().__init__(
            name=name,
            id=check_id,
            categories=[CheckCategories.CONVENTION],
            supported_resources=resources,
            guideline=guide,
        )
        self._rule = rule

    def scan_resource_conf(self, conf: dict[str, list[Any]]) -> CheckResult:
        """Asks the rule about one resource; checkov prints what it says under the finding."""
        document = self.entity_path.split(":", maxsplit=1)[0]
        resource = Block(conf, document=document, kind=self.entity_type, planned="__address__" in conf)
        self.details = list(self._rule(resource))
        return CheckResult.FAILED if self.details else CheckResult.PASSED


def policy(*, check_id: str, name: str, resources: Sequence[str], guide: str) -> Callable[[Rule], Rule]:
    """Registers a rule with checkov.

    Args:
        check_id: `CKV_MLFLOW_<number>`, never given to another rule again: waivers name it.
        name: What holds when the rule is kept.
        resources: The resource types that it is about; `*` stands for any part of a name.
        guide: The page that proves the rule.

    Returns:
        A decorator for a function that yields one message for each thing that is wrong: what, and what to do.
    """

    def register(rule: Rule) -> Rule:
        _Check(rule, check_id=check_id, name=name, resources=resources, guide=guide)
        return rule

    return register
