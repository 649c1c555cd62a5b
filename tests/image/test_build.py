"""Where the bases of the image come from: the registry, else packages, else nowhere."""

from functools import partial
from pathlib import Path

import pytest

from containers import images
from containers.engine import Engine
from tests.image.registry import Registry
from tools.push import push

NOWHERE = f"registry.invalid/base@sha256:{'0' * 64}"
DOCKERFILE = """# {comment}
ARG BASE_IMAGE={base}
ARG PROXY_IMAGE={base}
FROM ${{PROXY_IMAGE}} AS proxy
FROM ${{BASE_IMAGE}}
LABEL made-by=tests
"""


def pin(context: Path, base: str) -> None:
    (context / "Dockerfile").write_text(DOCKERFILE.format(comment=context, base=base))


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """The smallest Dockerfile with the two bases."""
    folder = tmp_path / "context"
    folder.mkdir()
    pin(folder, NOWHERE)
    return folder


def test_with_a_registry_the_pinned_bases_are_used(
    registry_engine: Engine, registry: Registry, small_image: str, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.log_in()
    pin(context, push(registry_engine, small_image, registry.repository))
    monkeypatch.setattr(images, "stand_ins", lambda *_: pytest.fail("a stand-in is made"))
    built = images.build(registry_engine, context=context, name=f"localhost/{context.parent.name.lower()}")
    layers = "{{json .RootFS.Layers}}"
    try:
        inspect = ("image", "inspect", f"--format={layers}")
        assert registry_engine.run(*inspect, built) == registry_engine.run(*inspect, small_image)
    finally:
        registry_engine.run("rmi", "--force", built)


@pytest.mark.usefixtures("registry")
def test_with_neither_registry_nor_packages_it_fails_in_a_line_that_says_what_to_install(
    context: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine()
    monkeypatch.setenv("PATH", str(tmp_path))  # the engine keeps what it was started with
    monkeypatch.setattr(images, "Engine", lambda: engine)
    monkeypatch.setattr(images, "STAND_IN_BASE", "localhost/none:none")
    monkeypatch.setattr(images, "build", partial(images.build, context=context))
    assert images.main() == images.EX_UNAVAILABLE
    told = capsys.readouterr()
    assert told.out == ""
    *_, last = told.err.splitlines()
    assert last.startswith("[image] cannot be built: no image registry answers, and ")
