"""The schema of hashicorp/google, read out of the pinned CDKTF bindings.

The provider itself is a download that a closed machine cannot make, but its bindings are in the lock file, and they
were generated from its schema. Every module of their JavaScript package carries the TypeScript that it was made from,
in an inline source map, and there each field stands under a comment that says `computed: true, optional: false` and so
on (https://github.com/hashicorp/terraform-cdk/tree/main/packages/%40cdktf/provider-generator). An unknown form is an
error, never a guess.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import re
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.terraform.model import Attribute, Block, NestedBlock, Nesting, Type

if TYPE_CHECKING:
    from collections.abc import Iterable

_BINDINGS = "cdktf_cdktf_provider_google"
_OTHER_BINDINGS = "LOCALCLOUD_BINDINGS"  # the folder of another version's package, such as CDK Terrain's

# What the bindings do not tell: which attributes the provider marks as sensitive, and limits of block lists above one.
# https://github.com/hashicorp/terraform-provider-google/tree/v6.50.0/website/docs
_SENSITIVE = {
    "google_secret_manager_secret_version": {"secret_data"},
    "google_sql_database_instance": {"root_password", "server_ca_cert", "replica_configuration.password"},
    "google_sql_user": {"password"},
}
_MAX_ITEMS = {"google_storage_bucket": {"lifecycle_rule": 100}}

_ATTRIBUTE_TYPES: dict[str, Type] = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "StringMap": ["map", "string"],
    "BooleanMap": ["map", "bool"],
    "NumberMap": ["map", "number"],
}
_CLASS = re.compile(r"^export class (\w+) extends cdkt[fn]\.\w+", re.MULTILINE)
_FIELD = re.compile(
    r"^ +// (?P<name>\w+) - "
    + ", ".join(f"{flag}: (?P<{flag}>true|false)" for flag in ("computed", "optional", "required"))
    + "$",
    re.MULTILINE,
)
_GETTER = re.compile(r"return (cdkt[fn]\.Fn\.tolist\()?this\.get(\w+)Attribute\(")
_MAP = re.compile(r"new cdkt[fn]\.(String|Number|Boolean)Map(List)?\(")
_NESTED = re.compile(r'= new (\w+)\(this, "\w+"(?:, (true|false))?\)')
_ITEM = re.compile(r"public get\(index: number\): (\w+)")
_HCL_BLOCK = re.compile(
    r'^ +(\w+): \{\s+value: [^\n]+\n\s+isBlock: true,\s+type: "(\w+)",\s+storageClassType: "(\w+)"', re.MULTILINE
)
_HCL_SIMPLE = re.compile(
    r'^ +(\w+): \{\s+value: [^\n]+\n\s+isBlock: false,\s+type: "(\w+)",\s+storageClassType: "(\w+)"', re.MULTILINE
)
_HCL_NESTING = {"list": Nesting.LIST, "set": Nesting.SET, "struct": Nesting.SINGLE}
_HCL_TYPES: dict[str, Type] = {
    "string": "string",
    "number": "number",
    "boolean": "bool",
    "stringList": ["list", "string"],
    "stringMap": ["map", "string"],
}


class SchemaError(Exception):
    """The bindings have a form that this module does not know."""


def resource_schemas(types: Iterable[str]) -> dict[str, Block]:
    """Derives the schemas of resource types.

    Args:
        types: names such as `google_storage_bucket`.

    Returns:
        One block a type; a type that the bindings do not have is left out.

    Raises:
        SchemaError: the bindings have a form that is not known here.
    """
    folders = {_folder(name): name for name in types}
    return {
        folders[folder]: _Source(folders[folder], text).resource() for folder, text in _sources(set(folders)).items()
    }


def provider_schema() -> Block:
    """The schema of the provider block.

    Returns:
        The block; all of its attributes are optional.
    """
    text = _sources({"provider"})["provider"]
    body = text[text.index("synthesizeHclAttributes") :]
    attributes = {
        name: Attribute(type=_HCL_TYPES[storage], optional=True)
        for name, _, storage in _HCL_SIMPLE.findall(body)
        if name != "alias"  # Terraform's own
    }
    blocks = {
        "batching": _settings({"enable_batching": "bool", "send_after": "string"}),
        "external_credentials": _settings(
            dict.fromkeys(("audience", "identity_token", "service_account_email"), "string"), required=True
        ),
    }
    return Block(attributes, blocks)


def _settings(names: dict[str, str], *, required: bool = False) -> NestedBlock:
    attributes = {name: Attribute(type=kind, required=required, optional=not required) for name, kind in names.items()}
    return NestedBlock(block=Block(attributes), nesting=Nesting.LIST)


def _folder(resource_type: str) -> str:
    return resource_type.removeprefix("google_").replace("_", "-")


def bindings_package() -> Path:
    """The JavaScript package inside the installed bindings (without importing them: that takes seconds)."""
    other = os.environ.get(_OTHER_BINDINGS)
    spec = None if other else importlib.util.find_spec(_BINDINGS)
    for location in [other] if other else (spec and spec.submodule_search_locations) or ():
        for package in Path(location, "_jsii").glob("*.jsii.tgz"):
            return package
    raise SchemaError(f"the package {_BINDINGS} is not installed: run `make setup-test`")


def _sources(folders: set[str]) -> dict[str, str]:
    """The TypeScript of the modules in some folders, each folder's files joined.

    Unpacking takes half a second, so the result is kept in the user's cache; the package's name has its version.
    """
    package = bindings_package()
    digest = hashlib.sha256(" ".join([str(package), *sorted(folders)]).encode()).hexdigest()[:16]
    kept = Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "localcloud", f"{package.stem}-{digest}.json"
    )
    if kept.exists():
        return json.loads(kept.read_text())
    found = _unpack(package, folders)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=kept.parent, delete=False) as draft:
        json.dump(found, draft)
    Path(draft.name).replace(kept)
    return found


def _unpack(package: Path, folders: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    with tarfile.open(package, "r|gz") as archive:
        for member in archive:
            parts = member.name.split("/")
            if len(parts) > 3 and parts[1] == "lib" and parts[2] in folders and member.name.endswith(".js"):  # noqa: PLR2004
                content = archive.extractfile(member)
                if content:
                    found[parts[2]] = found.get(parts[2], "") + _typescript(content.read().decode())
    return found


def _typescript(javascript: str) -> str:
    _, marker, encoded = javascript.rpartition("sourceMappingURL=data:application/json;base64,")
    return "\n".join(json.loads(base64.b64decode(encoded))["sourcesContent"]) if marker else ""


class _Source:
    """The TypeScript of one resource type, cut into its classes."""

    def __init__(self, resource_type: str, text: str) -> None:
        self._type = resource_type
        starts = list(_CLASS.finditer(text))
        ends = [start.start() for start in starts[1:]] + [len(text)]
        self._classes = {start[1]: text[start.end() : end] for start, end in zip(starts, ends, strict=True)}
        self._nesting = {
            storage.removesuffix("List"): _HCL_NESTING[kind] for _, kind, storage in _HCL_BLOCK.findall(text)
        }

    def resource(self) -> Block:
        marker = f'tfResourceType = "{self._type}"'
        for body in self._classes.values():
            if marker in body:
                return self._block(body, "")
        raise SchemaError(f"the bindings have no class with {marker}")

    def _block(self, body: str, path: str) -> Block:
        block = Block()
        fields = list(_FIELD.finditer(body))
        ends = [following.start() for following in fields[1:]] + [len(body)]  # a block may have no field at all
        for field, end in zip(fields, ends, strict=False):
            name, code = field["name"], body[field.end() : end]
            nested = None if _MAP.search(code) else _NESTED.search(code)
            if not nested:
                block.attributes[name] = self._attribute(self._simple_type(code, name), field, path)
            elif field["computed"] == "true":
                block.attributes[name] = self._attribute(self._list_type(nested, path + name), field, path)
            else:
                block.blocks[name] = self._nested(nested, field, path)
        return block

    def _attribute(self, kind: Type, field: re.Match[str], path: str) -> Attribute:
        return Attribute(
            type=kind,
            computed=field["computed"] == "true",
            optional=field["optional"] == "true",
            required=field["required"] == "true",
            sensitive=path + field["name"] in _SENSITIVE.get(self._type, ()),
            write_only=field["name"].endswith("_wo"),
        )

    def _list_type(self, nested: re.Match[str], path: str) -> Type:
        inner = self._block(self._classes[self._item(nested[1])], f"{path}.")
        kind: Type = ["object", {name: attribute.type for name, attribute in inner.attributes.items()}]
        return ["set" if nested[2] == "true" else "list", kind]

    def _nested(self, nested: re.Match[str], field: re.Match[str], path: str) -> NestedBlock:
        class_name, path = nested[1], path + field["name"]
        many = class_name.endswith("List")
        item = self._item(class_name) if many else class_name
        nesting = self._nesting[class_name.removesuffix("List").removesuffix("OutputReference")]
        return NestedBlock(
            block=self._block(self._classes[item], f"{path}."),
            nesting=nesting,
            min_items=int(field["required"] == "true"),
            max_items=_MAX_ITEMS.get(self._type, {}).get(path, 0 if many or nesting is Nesting.SINGLE else 1),
        )

    def _item(self, list_class: str) -> str:
        match = _ITEM.search(self._classes[list_class])
        if not match:
            raise SchemaError(f"{self._type}: {list_class} does not say what it is a list of")
        return match[1]

    def _simple_type(self, code: str, name: str) -> Type:
        mapped = _MAP.search(code)
        if mapped:
            map_type = _ATTRIBUTE_TYPES[f"{mapped[1]}Map"]
            return ["list", map_type] if mapped[2] else map_type
        getter = _GETTER.search(code)
        if not getter or getter[2] not in _ATTRIBUTE_TYPES:
            raise SchemaError(f"{self._type}.{name}: no type known for this getter: {code.strip()[:200]}")
        kind = _ATTRIBUTE_TYPES[getter[2]]
        return ["set", *kind[1:]] if getter[1] and isinstance(kind, list) else kind
