"""The app: which stacks an environment has, and the documents that they become."""

import json
from dataclasses import dataclass
from pathlib import Path

from cdktf import App

from stacks import versions
from stacks.bootstrap import BootstrapStack
from stacks.deployment import DeploymentStack
from stacks.kinds import kind_of, types_in
from stacks.resources import moved_in
from stacks.settings.model import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A synthesized stack.

    Attributes:
        path: Its cdk.tf.json.
        resource_count: Number of resource blocks, ephemeral ones included.
    """

    path: Path
    resource_count: int


def synthesize(settings: Settings, *, environment: str, output: Path) -> list[Document]:
    """Writes the Terraform of both stacks.

    The constraint on Terraform's own version goes to a `versions.tf` beside each document, and renames to a `moved.tf`:
    checkov, as of 3.3, cannot parse a JSON document that holds either, and then passes that document unseen
    (https://github.com/bridgecrewio/checkov/blob/main/checkov/terraform_json/parser.py).

    Args:
        settings: The settings of the environment.
        environment: Its name; the state is kept under it.
        output: The folder that gets `stacks/STACK/cdk.tf.json`.

    Returns:
        The documents, in the order in which they are deployed.
    """
    # CDK Terrain refuses write-only arguments unless it is told which engines the documents are for.
    app = App(
        outdir=str(output), context={"targetVersions": dict.fromkeys(("terraform", "opentofu"), versions.TERRAFORM)}
    )
    stacks = (
        BootstrapStack(app, "bootstrap", settings=settings, environment=environment),
        DeploymentStack(app, "tracking", settings=settings, environment=environment),
    )
    for stack in stacks:
        for kind in types_in(stack):
            kind_of(kind)  # refuses a type that has no row
    app.synth()
    folders = [output / "stacks" / stack.node.id for stack in stacks]
    for folder in folders:
        (folder / "versions.tf").write_text(f'terraform {{\n  required_version = "{versions.TERRAFORM}"\n}}\n')
    for folder, stack in zip(folders, stacks, strict=True):
        blocks = (f"moved {{\n  from = {one['from']}\n  to   = {one['to']}\n}}\n" for one in moved_in(stack))
        (folder / "moved.tf").write_text("".join(blocks))
    return [_document(folder / "cdk.tf.json") for folder in folders]


def _document(path: Path) -> Document:
    content = json.loads(path.read_text())
    blocks = [named for kind in ("resource", "ephemeral") for named in content.get(kind, {}).values()]
    return Document(path=path, resource_count=sum(map(len, blocks)))
