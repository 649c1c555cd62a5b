"""An overview of the system from a synthesized document: its resources, who may do what, and its parts' links."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from stacks.addresses import (
    ACCOUNT,
    BACKEND_STORE_URI,
    BUCKET,
    ENCRYPTION_KEY,
    INSTANCE,
    JOB_ACCOUNTS,
    JOBS,
    OAUTH2_PROXY,
    SCHEDULER_ACCOUNT,
    SERVICE,
)
from stacks.kinds import kind_of

Block: TypeAlias = dict[str, Any]

_MAIN_PARTS: Final[dict[str, str]] = {
    SERVICE: "Cloud Run<br/>oauth2-proxy, MLflow",
    ACCOUNT: "service account",
    INSTANCE: "Cloud SQL<br/>database mlflow",
    BUCKET: "bucket<br/>artifacts",
    BACKEND_STORE_URI: "secret<br/>connection string",
    OAUTH2_PROXY: "secret<br/>oauth2-proxy file",
    ENCRYPTION_KEY: "secret<br/>encryption key",
    JOBS: "Cloud Run jobs<br/>gc, archive-traces, db-upgrade",
    JOB_ACCOUNTS: "service accounts<br/>one each job",
    SCHEDULER_ACCOUNT: "service account<br/>schedules",
    "ephemeral.random_password.database": "ephemeral<br/>database password",
    "ephemeral.random_password.cookie_secret": "ephemeral<br/>cookie secret",
    "var.oauth_client_secret": "variable, ephemeral<br/>OAuth client secret",
}
_PUBLIC: Final = "allUsers"
_WRITERS: Final = "each.value"
_PEOPLE: Final = {_PUBLIC: "browser, curl, SDK", _WRITERS: "access.artifact_writers"}

_REFERENCE: Final = re.compile(r"\b(?:ephemeral\.)?(?:google|random)_\w+\.\w+|\bvar\.\w+")
_EXPRESSION: Final = re.compile(r"\$\{(.+)\}")
# A version belongs to its secret, a user and a database to their instance.
_OWNER_ARGUMENTS: Final = ("secret", "instance")
_TARGET_ARGUMENTS: Final = {
    "google_cloud_run_v2_job_iam_member": "name",
    "google_cloud_run_v2_service_iam_member": "name",
    "google_secret_manager_secret_iam_member": "secret_id",
    "google_service_account_iam_member": "service_account_id",
    "google_storage_bucket_iam_member": "bucket",
}


def resource_table(document: Block) -> str:
    """A Markdown table of a document's resource blocks by type: how many, which, and why."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for kind, address, _ in _blocks(document):
        names[kind].append(f"`{address.split('.')[-1]}`")
    rows = (
        f"| `{kind}` | {len(named)} | {', '.join(named)} | {kind_of(kind.split()[-1]).why} |"
        for kind, named in sorted(names.items())
    )
    return "\n".join(("| type | blocks | names | why |", "| --- | --- | --- | --- |", *rows))


def role_table(document: Block) -> str:
    """A Markdown table of the roles that a document grants: which, to whom, on what."""
    rows = sorted(
        f"| `{block['role']}` | {_named(_grantee(block))} | {_named(target)} |"
        for kind, _, block in _blocks(document)
        if _is_grant(kind)
        for target in _granted_on(document, kind, block)
    )
    return "\n".join(("| role | who | on |", "| --- | --- | --- |", *rows))


def diagram(document: Block) -> str:
    """A Mermaid flow chart: an arrow is a reference between main parts, a dotted one a role."""
    return _flow_chart((*_references(document), *_roles(document)))


def calls(document: Block) -> str:
    """A Mermaid flow chart of who calls what: an arrow is a role; that of the service's account is the service's."""
    return _flow_chart(
        (SERVICE if source == ACCOUNT else source, f"-->|{role}|", target)
        for source, role, target in _granted(document)
    )


def _flow_chart(found: Iterable[tuple[str, str, str]]) -> str:
    arrows = dict.fromkeys(found)
    nodes = dict.fromkeys(node for source, _, target in arrows for node in (source, target))
    labels = _PEOPLE | _MAIN_PARTS
    lines = [
        "flowchart LR",
        *(f"  {_id(node)}{_shape(node, labels[node])}" for node in labels if node in nodes),
        *(f"  {_id(source)} {arrow} {_id(target)}" for source, arrow, target in arrows),
    ]
    return "\n".join(("```mermaid", *lines, "```"))


def _blocks(document: Block) -> Iterator[tuple[str, str, Block]]:
    """Every resource block: its type, its address, its arguments."""
    for prefix, section in (("", "resource"), ("ephemeral", "ephemeral")):
        for kind, named in document.get(section, {}).items():
            for name, block in named.items():
                yield f"{prefix} {kind}".strip(), ".".join(filter(None, (prefix, kind, name))), block


def _references(document: Block) -> Iterator[tuple[str, str, str]]:
    for kind, address, block in _blocks(document):
        source = _owner(document, address)
        if _is_grant(kind):
            continue
        for reference in _mentioned({name: value for name, value in block.items() if name != "depends_on"}):
            target = _owner(document, reference)
            if target != source and {source, target} <= _MAIN_PARTS.keys():
                yield source, "-->", target


def _roles(document: Block) -> Iterator[tuple[str, str, str]]:
    for source, role, target in _granted(document):
        yield source, f"-.->|{role}|", target


def _granted(document: Block) -> Iterator[tuple[str, str, str]]:
    """Every grant to somebody else: to whom, the role without its prefix, on what."""
    for kind, _, block in _blocks(document):
        if _is_grant(kind):
            role = block["role"].removeprefix("roles/")
            grantee = _grantee(block)
            yield from ((grantee, role, target) for target in _granted_on(document, kind, block) if target != grantee)


def _is_grant(kind: str) -> bool:
    return kind.endswith("_iam_member")


def _granted_on(document: Block, kind: str, grant: Block) -> list[str]:
    if kind not in _TARGET_ARGUMENTS:
        # The role exists on projects only, and its condition says which instance: by name, for that is known earlier.
        return [INSTANCE]
    return [_owner(document, reference) for reference in _mentioned(grant[_TARGET_ARGUMENTS[kind]])]


def _grantee(grant: Block) -> str:
    references = _mentioned(grant["member"])
    if references:
        return references[0]
    expression = _EXPRESSION.fullmatch(grant["member"])
    return expression[1] if expression else grant["member"]


def _mentioned(value: object) -> list[str]:
    """The addresses that a value refers to, each once, in their order."""
    return list(dict.fromkeys(_REFERENCE.findall(json.dumps(value))))


def _owner(document: Block, address: str) -> str:
    """The main part that a resource belongs to, or the resource itself."""
    if address in _MAIN_PARTS:
        return address
    block = {found: block for _, found, block in _blocks(document)}.get(address, {})
    return next((_mentioned(block[argument])[0] for argument in _OWNER_ARGUMENTS if argument in block), address)


def _named(node: str) -> str:
    label = (_PEOPLE | _MAIN_PARTS).get(node, node).replace("<br/>", ", ")
    return f"`{label}`" if node == _WRITERS else f"{label} (`{node}`)"


def _id(node: str) -> str:
    return node.replace(".", "_")


def _shape(node: str, label: str) -> str:
    if node in _PEOPLE:
        return f'(["{label}"])'
    return f'[("{label}")]' if "sql" in node or "bucket" in node else f'["{label}"]'
