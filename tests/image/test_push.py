"""`make image-push`, to a real registry that listens on loopback and asks for a password."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from containers.engine import Engine, EngineError
from stacks.settings.load import load
from tests.image.registry import USER, Registry
from tests.stacks.documents import ENVIRONMENTS, document
from tools.push import push, repository_of

CHECKOUT = Path(__file__).parents[2]
EX_UNAVAILABLE = 69


def test_the_printed_reference_is_the_image_in_the_registry(
    registry_engine: Engine, registry: Registry, small_image: str
) -> None:
    registry.log_in()
    reference = push(registry_engine, small_image, registry.repository)
    repository, _, digest = reference.partition("@")
    assert repository == registry.repository
    assert registry.manifest(digest)["config"]["digest"] == f"sha256:{registry_engine.image_id(small_image)}"


def test_a_second_push_of_the_same_image_moves_no_tag(
    registry_engine: Engine, registry: Registry, small_image: str
) -> None:
    registry.log_in()
    assert push(registry_engine, small_image, registry.repository) == push(
        registry_engine, small_image, registry.repository
    )
    assert registry.manifest(registry_engine.image_id(small_image)[:12])


@pytest.mark.parametrize("password", ["", "wrong"])
def test_without_a_login_one_line_tells_how_to_log_in(
    registry_engine: Engine, registry: Registry, small_image: str, password: str
) -> None:
    if password:
        registry.log_in(password)
    with pytest.raises(EngineError) as told:
        push(registry_engine, small_image, registry.repository)
    line = str(told.value)
    assert f"{registry.host} did not take the image: log in with `gcloud auth configure-docker {registry.host}`" in line
    assert "\n" not in line
    assert USER not in line
    assert not password or password not in line


def test_without_a_registry_one_line_tells_what_to_look_at(registry_engine: Engine, small_image: str) -> None:
    with pytest.raises(EngineError) as told:
        push(registry_engine, small_image, "127.0.0.1:9/acme-ml-dev/mlflow/mlflow")
    line = str(told.value)
    assert "can 127.0.0.1:9 be reached? (" in line
    assert "\n" not in line


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.push", "demo"]
    return subprocess.run(
        command, cwd=CHECKOUT, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.usefixtures("registry")
def test_an_image_of_other_than_the_pinned_bases_is_not_pushed() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (EX_UNAVAILABLE, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("image-push: nothing is pushed: the image cannot be built from its pinned bases (")


def test_without_a_container_engine_one_line_tells_what_to_install(tmp_path: Path) -> None:
    done = run(PATH=str(tmp_path), LOCALCLOUD_ENGINE="")
    assert (done.returncode, done.stdout) == (EX_UNAVAILABLE, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("image-push: no container engine works: neither podman nor docker is installed")


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_images_go_where_the_bootstrap_stack_makes_a_repository(environment: str) -> None:
    repository = repository_of(load(ENVIRONMENTS / f"{environment}.toml", {}))
    output = document(environment, "bootstrap")["output"]["image_repository"]["value"]
    made = document(environment, "bootstrap")["resource"]["google_artifact_registry_repository"]["images"]
    resolved = output.replace("${google_artifact_registry_repository.images.repository_id}", made["repository_id"])
    assert repository == f"{resolved}/mlflow"
