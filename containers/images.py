"""Images, built on this machine: from their pinned bases where a registry answers, else from stand-ins.

A Dockerfile pins its bases in ARGs, BASE_IMAGE and PROXY_IMAGE. The stand-ins are made of what package registries hold:
Debian's slim base of its packages with mmdebstrap, oauth2-proxy of its Go module. They are kept in the engine's store,
so that a second build takes seconds.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path

from containers.engine import Engine, EngineError
from containers.private import scratch_folder

CONTEXT = Path(__file__).parent.parent / "image"
STAND_IN_BASE = "localhost/stand-in/debian:trixie-slim"
# The newest version that the Go module proxy serves; the pinned image has a later one.
STAND_IN_PROXY_VERSION = "7.15.4"
STAND_IN_PROXY = f"localhost/stand-in/oauth2-proxy:v{STAND_IN_PROXY_VERSION}"
PROXY_MODULE = "github.com/oauth2-proxy/oauth2-proxy/v7"
# What Debian's slim images leave out: https://github.com/debuerreotype/debuerreotype
SLIM_EXCLUDES = ("doc", "groff", "info", "lintian", "linda", "locale", "man")
PULL_TIMEOUT_S = 300
EX_UNAVAILABLE = 69


def say(text: str) -> None:
    """Tells a person what takes so long."""
    sys.stderr.write(f"[image] {text}\n")


@contextmanager
def step(text: str) -> Generator[None]:
    """Announces a step, and says how long it took."""
    start = time.monotonic()
    say(f"{text} ...")
    yield
    say(f"{text}: {time.monotonic() - start:.0f} s")


@contextmanager
def one_at_a_time() -> Generator[None]:
    """Lets one process of this machine build, while the others wait for its result."""
    with (scratch_folder() / "image-build.lock").open("w") as file:
        flock(file, LOCK_EX)
        yield


def pinned_bases(context: Path = CONTEXT) -> dict[str, str]:
    """Returns the ARGs for the base images of a context's Dockerfile, name -> reference with digest."""
    text = (context / "Dockerfile").read_text()
    return dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+@sha256:\w+)$", text, flags=re.MULTILINE))


def pull_all(engine: Engine, references: list[str]) -> None:
    """Pulls every reference.

    Raises:
        EngineError: A registry does not answer, or does not have one.
    """
    for reference in references:
        qualified = reference if reference.partition("/")[0].count(".") else f"docker.io/library/{reference}"
        try:
            engine.run("pull", "--quiet", qualified, timeout_s=PULL_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"{qualified} did not come within {PULL_TIMEOUT_S} s") from error


def run_tool(*command: str, cwd: Path | None = None, environment: dict[str, str] | None = None) -> None:
    """Runs a tool that must be installed.

    Raises:
        EngineError: It is missing or it failed; the message says which and ends with its last lines.
    """
    if not shutil.which(command[0]):
        raise EngineError(
            f"{command[0]} is missing, and no image registry answers: see tools/setup.sh for what to install"
        )
    done = subprocess.run(  # noqa: S603
        command, cwd=cwd, env=os.environ | (environment or {}), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EngineError(f"{' '.join(command[:2])} failed:\n" + "\n".join(done.stderr.splitlines()[-15:]))


def debian_mirror() -> str:
    """Returns the address of Debian's packages that this machine itself is set up with.

    Raises:
        EngineError: It is no Debian machine, or has no source of packages.
    """
    command = ("apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)")
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise EngineError("no image registry answers, and there is no apt to make a base image with") from error
    found = re.search(r"^Debian (\S+/debian)/?$", listed, flags=re.MULTILINE)
    if not found:
        raise EngineError("no image registry answers, and apt has no Debian source: run apt-get update")
    return found[1]


def make_base(engine: Engine) -> None:
    """Makes Debian's slim base from its packages."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "base.tar"
        options = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in SLIM_EXCLUDES]
        source = f"deb {debian_mirror()} trixie main"
        run_tool("mmdebstrap", "--quiet", "--variant=minbase", *options, "trixie", str(archive), source)
        engine.load(archive, STAND_IN_BASE)


def make_proxy(engine: Engine) -> None:
    """Compiles oauth2-proxy from its Go module into an image that has it where the official one has it."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        run_tool("go", "mod", "init", "scratch", cwd=scratch)
        run_tool("go", "get", "-tool", f"{PROXY_MODULE}@v{STAND_IN_PROXY_VERSION}", cwd=scratch)
        flags = f"-s -w -X {PROXY_MODULE}/pkg/version.VERSION=v{STAND_IN_PROXY_VERSION}"
        static = {"CGO_ENABLED": "0", "GOBIN": str(scratch / "bin")}
        run_tool("go", "install", "-trimpath", f"-ldflags={flags}", PROXY_MODULE, cwd=scratch, environment=static)
        (scratch / "bin/Dockerfile").write_text("FROM scratch\nCOPY oauth2-proxy /bin/oauth2-proxy\n")
        engine.build(scratch / "bin", STAND_IN_PROXY, arguments={}, pull=False)


def stand_ins(engine: Engine, names: Iterable[str]) -> dict[str, str]:
    """Returns the stand-ins for ARGs of these names; makes those that are not here yet."""
    makers: dict[str, tuple[str, Callable[[Engine], None]]] = {
        "BASE_IMAGE": (STAND_IN_BASE, make_base),
        "PROXY_IMAGE": (STAND_IN_PROXY, make_proxy),
    }
    chosen = {name: makers[name] for name in names}
    for reference, make in chosen.values():
        if not engine.has_image(reference):
            with step(f"no registry answers: making {reference} from packages"):
                make(engine)
    return {name: reference for name, (reference, _) in chosen.items()}


def context_digest(context: Path) -> str:
    """Returns a short digest of all files of a build context."""
    files = sorted(path for path in context.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    content = b"".join(f"{path.relative_to(context)}\0".encode() + path.read_bytes() for path in files)
    return hashlib.sha256(content).hexdigest()[:16]


def mlflow_version() -> str:
    """Returns the version of MLflow in the image, from the one place where it stands."""
    found = re.search(r"^mlflow==(\S+)$", (CONTEXT / "requirements.in").read_text(), flags=re.MULTILINE)
    assert found  # noqa: S101
    return found[1]


def build(
    engine: Engine,
    *,
    context: Path = CONTEXT,
    name: str = "localhost/mlflow-google-cloud",
    arguments: Mapping[str, str] | None = None,
) -> str:
    """Builds the image of a context, unless it was built from the same files before.

    Args:
        engine: Where to build and keep it.
        context: A folder with a Dockerfile.
        name: The image's name without tag.
        arguments: Values of more ARGs.

    Returns:
        The image's reference; its tag is a digest of the context.

    Raises:
        EngineError: Neither a registry nor the packages are to be had, or the build failed.
    """
    reference = f"{name}:{context_digest(context)}"
    if engine.has_image(reference):
        return reference
    with one_at_a_time():
        if engine.has_image(reference):
            return reference
        bases, registry = pinned_bases(context), True
        try:
            pull_all(engine, list(bases.values()))
        except EngineError:
            bases, registry = stand_ins(engine, bases), False
        with step(f"building {reference}"):
            engine.build(context, reference, arguments=bases | dict(arguments or {}), pull=registry)
    return reference


def build_release(engine: Engine) -> str:
    """Builds the image from its pinned bases alone, for a registry; unchanged steps come from the engine's cache.

    Raises:
        EngineError: The bases are not to be had, or the build failed.
    """
    reference = f"localhost/mlflow-google-cloud/release:{context_digest(CONTEXT)}"
    with one_at_a_time(), step(f"building {reference}"):
        bases = pinned_bases()
        pull_all(engine, list(bases.values()))
        engine.build(CONTEXT, reference, arguments=bases, pull=True)
    return reference


def main() -> int:
    """Builds and prints the image's reference; returns the exit status."""
    try:
        sys.stdout.write(build(Engine()) + "\n")
    except EngineError as error:
        say(f"cannot be built: {error}")
        return EX_UNAVAILABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
