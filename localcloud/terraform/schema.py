"""The schema of a provider, read out of its pinned CDKTF bindings.

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.terraform.model import Attribute, Block, NestedBlock, Nesting, Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OTHER_BINDINGS = "LOCALCLOUD_BINDINGS"  # the folder of another version's package, such as CDK Terrain's
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Corrections:
    """Facts about a resource type that the provider's pages have and the bindings do not.

    Attributes:
        sensitive: the attributes that the provider marks so, as `block.attribute` inside of blocks.
        max_items: path of a block list -> its limit, where that is above one.
        newer: the attributes of later versions of the provider.
    """

    sensitive: frozenset[str] = frozenset()
    max_items: Mapping[str, int] = field(default_factory=dict[str, int])
    newer: Mapping[str, Attribute] = field(default_factory=dict[str, Attribute])


@dataclass(frozen=True, kw_only=True, slots=True)
class Bindings:
    """The installed bindings of one provider.

    Attributes:
        provider: its name, with which the names of its resource types begin.
        blocks: the blocks of its provider block, which the bindings do not tell.
        corrections: what else they do not tell, by resource type.
    """

    provider: str
    blocks: Mapping[str, NestedBlock] = field(default_factory=dict[str, NestedBlock])
    corrections: Mapping[str, Corrections] = field(default_factory=dict[str, Corrections])

    def resource_schemas(self, types: Iterable[str]) -> dict[str, Block]:
        """Derives the schemas of resource types.

        Args:
            types: names such as `google_storage_bucket`.

        Returns:
            One block a type; a type that the bindings do not have is left out.

        Raises:
            SchemaError: the bindings have a form that is not known here.
        """
        folders = {name.removeprefix(f"{self.provider}_").replace("_", "-"): name for name in types}
        sources = _sources(self._package(), set(folders))
        blocks: dict[str, Block] = {}
        for folder, text in sources.items():
            name = folders[folder]
            blocks[name] = _Source(name, text, self.corrections.get(name, Corrections())).resource()
        return blocks

    def provider_schema(self) -> Block:
        """The schema of the provider block; all of its attributes are optional."""
        text = _sources(self._package(), {"provider"})["provider"]
        body = text[text.index("synthesizeHclAttributes") :]
        attributes = {
            name: Attribute(type=_HCL_TYPES[storage], optional=True)
            for name, _, storage in _HCL_SIMPLE.findall(body)
            if name != "alias"  # Terraform's own
        }
        return Block(attributes, dict(self.blocks))

    def _package(self) -> Path:
        """The JavaScript package inside the installed bindings (without importing them: that takes seconds)."""
        name = f"cdktf_cdktf_provider_{self.provider}"
        other = os.environ.get(_OTHER_BINDINGS)
        spec = None if other else importlib.util.find_spec(name)
        for location in [other] if other else (spec and spec.submodule_search_locations) or ():
            for package in Path(location, "_jsii").glob("*.jsii.tgz"):
                return package
        raise SchemaError(f"the Python package {name} is not installed, from which the schema is read")


def _sources(package: Path, folders: set[str]) -> dict[str, str]:
    """The TypeScript of the modules in some folders, each folder's files joined.

    Unpacking takes half a second, so the result is kept in the user's cache; the package's name has its version.
    """
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

    def __init__(self, resource_type: str, text: str, corrections: Corrections) -> None:
        self._type = resource_type
        self._corrections = corrections
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
        for found, end in zip(fields, ends, strict=False):
            name, code = found["name"], body[found.end() : end]
            nested = None if _MAP.search(code) else _NESTED.search(code)
            if not nested:
                block.attributes[name] = self._attribute(self._simple_type(code, name), found, path)
            elif found["computed"] == "true":
                block.attributes[name] = self._attribute(self._list_type(nested, path + name), found, path)
            else:
                block.blocks[name] = self._nested(nested, found, path)
        return block

    def _attribute(self, kind: Type, field: re.Match[str], path: str) -> Attribute:
        return Attribute(
            type=kind,
            computed=field["computed"] == "true",
            optional=field["optional"] == "true",
            required=field["required"] == "true",
            sensitive=path + field["name"] in self._corrections.sensitive,
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
            max_items=self._corrections.max_items.get(path, 0 if many or nesting is Nesting.SINGLE else 1),
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
