"""The bindings are loaded lazily, say the same as when they are not, and fail open."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stacks import bindings
from tests.stacks.documents import ENVIRONMENTS, STACKS

CHECKOUT = Path(__file__).parents[2]

SYNTHESIZE = """
import os, pathlib, sys
from stacks import bindings
from stacks.settings.load import load
print(bindings.install(os.environ))
from stacks.app import synthesize
settings = load(pathlib.Path(sys.argv[1]), {})
synthesize(settings, environment="maximal", output=pathlib.Path(sys.argv[2]))
import cdktf_cdktf_provider_google
print(sum(name.startswith("cdktf_cdktf_provider_google.") and name.count(".") == 1 for name in sys.modules))
"""


def run(code: str, *arguments: str, cwd: Path = CHECKOUT, **variables: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)} | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_documents_are_byte_identical_with_the_switch_on_and_off(tmp_path: Path) -> None:
    maximal = str(ENVIRONMENTS / "maximal.toml")
    lazy, loaded = run(SYNTHESIZE, maximal, str(tmp_path / "lazy"), **{bindings.SWITCH: "1"})
    plain, all_loaded = run(SYNTHESIZE, maximal, str(tmp_path / "plain"), **{bindings.SWITCH: "0", "NODE_OPTIONS": ""})
    assert (lazy, plain) == ("True", "False")
    assert int(loaded) < 40
    assert int(all_loaded) > 1_000
    for stack in STACKS:
        document = f"stacks/{stack}/cdk.tf.json"
        assert (tmp_path / "lazy" / document).read_bytes() == (tmp_path / "plain" / document).read_bytes()


def test_installing_twice_changes_nothing_more() -> None:
    environ = {"NODE_OPTIONS": "--max-old-space-size=4096"}
    assert bindings.install(environ)
    once = dict(environ)
    assert bindings.install(environ)
    assert environ == once
    assert environ["NODE_OPTIONS"].startswith("--max-old-space-size=4096 --require ")


def test_the_switch_leaves_node_alone() -> None:
    environ = {bindings.SWITCH: "0"}
    assert not bindings.install(environ)
    assert "NODE_OPTIONS" not in environ


FAKE = bindings.PACKAGE
ASK = f"""
import os
from stacks import bindings
bindings.install(os.environ)
import {FAKE} as package
print(hasattr(package, "ran"))
"""


@pytest.fixture
def fake_package(tmp_path: Path) -> Path:
    (tmp_path / FAKE).mkdir()
    (tmp_path / FAKE / "__init__.py").write_text("ran = True\nfrom .one import name\nthing = 42\n__all__ = ['thing']\n")
    (tmp_path / FAKE / "one.py").write_text("name = 'one'\n")
    (tmp_path / FAKE / "broken.py").write_text("import a_module_that_is_not_there\n")
    return tmp_path


def ask(folder: Path, code: str) -> list[str]:
    return run(f"import sys; sys.path.insert(0, {str(folder)!r})\n{ASK.rsplit('print', 1)[0]}\n{code}")


def test_a_submodule_is_loaded_when_it_is_named(fake_package: Path) -> None:
    assert ask(fake_package, "print(package.one.name, 'ran' in vars(package))") == ["one False"]


def test_a_name_that_is_no_submodule_runs_the_package_after_all(fake_package: Path) -> None:
    assert ask(fake_package, "print(package.thing, package.ran)") == ["42 True"]
    assert ask(fake_package, f"from {FAKE} import *; print(thing)") == ["42"]


def test_a_name_that_is_nowhere_is_an_attribute_error(fake_package: Path) -> None:
    assert ask(fake_package, "print(hasattr(package, 'nothing'), hasattr(package, '__nothing__'))") == ["False False"]


def test_a_submodule_that_fails_says_why(fake_package: Path) -> None:
    code = "try: package.broken\nexcept ModuleNotFoundError as error: print(error.name)"
    assert ask(fake_package, code) == ["a_module_that_is_not_there"]


def test_without_the_package_python_says_so_itself() -> None:
    code = "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\nfrom stacks import bindings\n"
    code += f"import os; bindings.install(os.environ)\ntry: import {FAKE}\nexcept ModuleNotFoundError: print('missing')"
    assert run(code) == ["missing"]


def node(folder: Path, code: str) -> str:
    environ = dict(os.environ, NODE_OPTIONS="")
    bindings.install(environ)
    done = subprocess.run(["node", "-e", code], cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("index", "loaded"),
    [
        ('exports.one = require("./one");\nexports.two = require("./two");\n', ["one"]),
        ('exports.one = require("./one"), exports.two = require("./two");\n', ["one", "two"]),
    ],
    ids=["the shape of today", "another shape"],
)
def test_node_loads_what_is_asked_for_or_all_when_the_shape_is_another(
    tmp_path: Path, index: str, loaded: list[str]
) -> None:
    library = tmp_path / "node_modules" / "@cdktf" / "provider-any" / "lib"
    library.mkdir(parents=True)
    (library / "index.js").write_text(index)
    for name in ("one", "two"):
        (library / f"{name}.js").write_text(f"(globalThis.loaded ??= []).push('{name}'); exports.name = '{name}';")
    code = "const all = require('@cdktf/provider-any/lib/index.js'); const first = all.one.name;"
    assert json.loads(node(tmp_path, f"{code} console.log(JSON.stringify([first, globalThis.loaded]))")) == [
        "one",
        loaded,
    ]


def test_a_cold_cache_is_noticed(tmp_path: Path) -> None:
    packages = bindings.cold_package_cache({}, tmp_path)
    assert packages is not None
    assert packages.is_relative_to(tmp_path)
    (packages / "16.12.1").mkdir(parents=True)
    assert bindings.cold_package_cache({}, tmp_path) is None
    elsewhere = {"JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(tmp_path / "elsewhere")}
    assert bindings.cold_package_cache(elsewhere, tmp_path) == tmp_path / "elsewhere" / "@cdktf" / "provider-google"
