"""The documents that the test environments become."""

import json
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from stacks import addresses
from stacks.settings.load import load

ENVIRONMENTS = Path(__file__).parent / "environments"
NAMES = ("dev", "prod", "mysql", "maximal")
STACKS = ("bootstrap", "tracking")

Json = dict[str, Any]


@cache
def text(environment: str, stack: str) -> str:
    """The document of one stack of a test environment, as it is written."""
    from stacks.app import synthesize  # noqa: PLC0415 - cdktf starts node, which must find the bindings lazy

    with tempfile.TemporaryDirectory() as folder:
        synthesize(load(ENVIRONMENTS / f"{environment}.toml", {}), environment=environment, output=Path(folder))
        return (Path(folder) / "stacks" / stack / "cdk.tf.json").read_text()


@cache
def document(environment: str, stack: str = "tracking") -> Json:
    """The same, read."""
    return json.loads(text(environment, stack))


def resource(environment: str, address: str, stack: str = "tracking") -> Json:
    """One resource by its address, `TYPE.NAME`."""
    kind, name = address.split(".")
    return document(environment, stack)["resource"][kind][name]


def resources(environment: str, stack: str = "tracking") -> dict[str, Json]:
    """All resources of a document by address."""
    return {
        f"{kind}.{name}": body
        for kind, named in document(environment, stack)["resource"].items()
        for name, body in named.items()
    }


def container(environment: str) -> Json:
    """The one container of the Cloud Run service."""
    return resource(environment, addresses.SERVICE)["template"]["containers"][0]


def variables(environment: str) -> dict[str, Json]:
    """The container's environment variables by name."""
    return {variable["name"]: variable for variable in container(environment)["env"]}


def is_words(name: str) -> bool:
    """Whether a logical id is words, and no hash of a synthesizer is in it."""
    return bool(re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", name)) and not re.search("[0-9A-F]{8}", name)
