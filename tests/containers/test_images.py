"""Where the images of this project start from."""

import re
import subprocess
from pathlib import Path

import pytest

from containers.images import pinned_bases

CHECKOUT = Path(__file__).parents[2]
LISTED = subprocess.run(["git", "ls-files", "*Dockerfile"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
CONTEXTS = [(CHECKOUT / name).parent for name in LISTED.stdout.split()]

every_context = pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: context.name)


def test_the_dockerfiles_are_found() -> None:
    assert len(CONTEXTS) >= 4


@every_context
def test_every_base_of_a_dockerfile_is_pinned(context: Path) -> None:
    bases = re.findall(r"^FROM \$\{(\w+)\}", (context / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert bases
    assert pinned_bases(context).keys() == set(bases)


@every_context
def test_a_base_is_the_same_everywhere_so_that_it_is_there_once(context: Path) -> None:
    assert pinned_bases(context).items() <= pinned_bases().items()
