"""Where the images of this project start from."""

from pathlib import Path

import pytest

from containers.images import CONTEXT, pinned_bases

CHECKOUT = Path(__file__).parents[2]
DATABASES = CHECKOUT / "localcloud" / "machine"
CONTEXTS = [*(path.parent for path in DATABASES.glob("*/Dockerfile")), CHECKOUT / "tests/image/article"]


def test_the_dockerfiles_are_found() -> None:
    assert len(CONTEXTS) == 3


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: context.name)
def test_every_image_starts_from_the_one_base_so_that_it_is_there_once(context: Path) -> None:
    assert pinned_bases(context) == {"BASE_IMAGE": pinned_bases(CONTEXT)["BASE_IMAGE"]}
