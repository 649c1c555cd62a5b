"""Builds the image from its pinned bases and pushes it to an environment's repository, which the bootstrap stack makes.

The one line on stdout is what belongs into the settings. Who pushes is the engine's business: `gcloud auth
configure-docker` gives podman and docker a credential helper, and nothing secret passes through here.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from containers import images
from containers.engine import Engine, EngineError
from stacks.names import image_repository
from stacks.settings.load import environment_file, load
from stacks.settings.model import Settings
from stacks.settings.problems import SettingsError

CHECKOUT: Final = Path(__file__).parent.parent
EX_DATAERR: Final = 65
EX_UNAVAILABLE: Final = 69
IMAGE: Final = "mlflow"
TAG_DIGITS: Final = 12
# What registries and engines say to somebody without rights; Artifact Registry's are of the last two kinds.
# https://cloud.google.com/artifact-registry/docs/docker/troubleshoot
_NOT_LOGGED_IN: Final = ("unauthorized", "no basic auth", "authentication required", "unauthenticated", "denied")


def repository_of(settings: Settings) -> str:
    """The image's name in the repository of the environment, without tag."""
    return f"{image_repository(settings.region, settings.project.id, settings.name)}/{IMAGE}"


def push(engine: Engine, image: str, repository: str) -> str:
    """Pushes a local image and returns its reference with the digest.

    The tag is a digest of the image: the repository refuses to move tags.

    Raises:
        EngineError: One line: what the registry said, and what to do.
    """
    try:
        digest = engine.push(image, f"{repository}:{engine.image_id(image)[:TAG_DIGITS]}")
    except EngineError as error:
        raise EngineError(_explain(repository, str(error))) from error
    return f"{repository}@{digest}"


def _explain(repository: str, message: str) -> str:
    host = repository.partition("/")[0]
    said = message.strip().splitlines()[-1]
    if any(sign in said.lower() for sign in _NOT_LOGGED_IN):
        remedy = f"log in with `gcloud auth configure-docker {host}`, as somebody with roles/artifactregistry.writer"
    else:
        remedy = f"is {repository} there (`make synth`, then apply the bootstrap stack), and can {host} be reached?"
    return f"{host} did not take the image: {remedy} ({said})"


def main() -> int:
    """Builds, pushes and prints the settings' line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment", help="the settings file, environments/ENVIRONMENT.toml")
    environment = parser.parse_args().environment
    try:
        file = environment_file(Path(os.path.relpath(CHECKOUT / "environments")), environment)
        settings = load(file, os.environ)
        engine = Engine()
        print(f'image = "{push(engine, _built(engine), repository_of(settings))}"')
    except SettingsError as error:
        print(error, file=sys.stderr)
        return EX_DATAERR
    except EngineError as error:
        print(f"image-push: {error}", file=sys.stderr)
        return EX_UNAVAILABLE
    return 0


def _built(engine: Engine) -> str:
    try:
        return images.build_release(engine)
    except EngineError as error:
        said = str(error).strip().splitlines()[-1]
        raise EngineError(f"nothing is pushed: the image cannot be built from its pinned bases ({said})") from error


if __name__ == "__main__":
    sys.exit(main())
