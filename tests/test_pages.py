"""What the pages tell people to type, and what they point to, is there."""

import re
import subprocess
from pathlib import Path

import pytest

from stacks.names import CloudNames
from stacks.settings.model import Settings
from tests.pages import PAGES, TEST, code_in, every_page, functions_of
from tests.stacks.documents import STACKS, document
from tools.docs import CHECKOUT, SECURITY

RUNBOOK = CHECKOUT / "docs" / "runbook.md"
NAMES = CloudNames.of("mlflow")


def shell_blocks(page: Path) -> list[str]:
    return [
        re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)
        for indent, block in re.findall(r"^( *)```(?:ba)?sh\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL)
    ]


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def addresses() -> set[str]:
    found: set[str] = set()
    for stack in STACKS:
        blocks = document("maximal", stack)
        found |= {f"{kind}.{name}" for kind, named in blocks["resource"].items() for name in named}
    return found


@every_page
def test_every_test_that_is_named_exists(page: Path) -> None:
    named = TEST.findall(page.read_text())
    assert [f"{file}::{name}" for file, name in named if name not in functions_of(file)] == []


def test_every_attack_names_its_test() -> None:
    page = re.sub(r"<!-- begin.*<!-- end", "", (CHECKOUT / SECURITY).read_text(), flags=re.DOTALL)
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    attacks = [row for row in rows if row[0] not in ("attack", "---")]
    assert len(attacks) > 20
    assert [
        row[0] for row in attacks if len(row) != 3 or not (TEST.match(row[2]) or row[2] == "not testable here")
    ] == []


def test_the_threat_model_has_every_attack_that_is_tested() -> None:
    named = {name for _, name in TEST.findall((CHECKOUT / SECURITY).read_text())}
    tested = {name for name in functions_of("tests/image/test_attacks.py") if name.startswith("test_")}
    assert tested - named == set()


@every_page
def test_every_link_into_a_page_leads_to_a_heading(page: Path) -> None:
    links = re.findall(r"\]\(([^):\s]*)#([^)\s]+)\)", page.read_text())
    dead = [f"{path}#{anchor}" for path, anchor in links if anchor not in anchors(page.parent / path if path else page)]
    assert dead == []


@every_page
def test_every_resource_that_is_named_is_deployed(page: Path) -> None:
    named = set(re.findall(r"\b(google_\w+\.\w+)\b", code_in(page.read_text())))
    assert named - addresses() == set()


# The submodule has variables of its own, in a generated table.
@pytest.mark.parametrize("page", [page for page in PAGES if "modules" not in page.parts], ids=lambda page: page.name)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    sections = {name: field.annotation for name, field in Settings.model_fields.items()}
    fields = {name: getattr(section, "model_fields", {}) for name, section in sections.items()}
    section = "|".join(name for name in fields if fields[name])
    named = re.findall(rf"`({section})\.(?!googleapis)(\w+)", page.read_text())
    assert [f"{section}.{key}" for section, key in named if key not in fields[section]] == []


@every_page
def test_every_command_for_terraform_names_a_stack_and_its_outputs(page: Path) -> None:
    code = code_in(page.read_text())
    stacks = set(
        re.findall(r"-chdir=cdktf\.out/stacks/([\w-]+)", code) + re.findall(r"cdktf (?:deploy|destroy) (\w+)", code)
    )
    assert stacks <= set(STACKS)
    for stack, output in re.findall(r"stacks/(\w+) output -raw (\w+)", code):
        assert output in document("prod", stack)["output"]


@pytest.mark.parametrize("page", [page for page in PAGES if shell_blocks(page)], ids=lambda page: page.name)
def test_every_shell_block_is_sound(page: Path) -> None:
    for block in shell_blocks(page):
        # A reader fills in capitals, and types the lines of one block after another.
        check = ["shellcheck", "--shell=bash", "--exclude=SC1091,SC2034,SC2154", "-"]
        checked = subprocess.run(check, input=block, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout


@every_page
def test_every_program_of_ours_that_is_named_exists(page: Path) -> None:
    code = "\n".join(shell_blocks(page))
    modules = re.findall(r"python -m ((?:localcloud|tools|bench)[\w.]*)", code)
    scripts = re.findall(r"(?:^|\s)((?:tools|image)/[\w./-]+)", code)
    paths = [CHECKOUT / name.replace(".", "/") for name in modules]
    assert [path for path in paths if not (path.is_dir() or path.with_suffix(".py").exists())] == []
    assert [script for script in scripts if not (CHECKOUT / script).exists()] == []


def test_the_runbook_calls_things_by_their_names() -> None:
    code = "\n".join(shell_blocks(RUNBOOK))
    rescue = f"{NAMES.instance}-rescue"
    assert set(re.findall(r"instance=(\S+)", code)) == {NAMES.instance, rescue, f"{NAMES.instance}-keyed"}
    assert set(re.findall(r"instances (?:clone|patch|delete) ([\w-]+)", code)) == {NAMES.instance, rescue}
    assert set(re.findall(r"--secret=(\S+)", code)) == {NAMES.backend_store_uri_secret, NAMES.oauth2_proxy_secret}
    assert set(re.findall(r"run jobs execute ([\w-]+)", code)) == {NAMES.job("gc"), NAMES.job("db-upgrade")}
    assert set(re.findall(r"run services (?:update|logs read|update-traffic) ([\w-]+)", code)) == {NAMES.service}


def test_the_runbooks_job_runs_a_command_of_the_image() -> None:
    commands = re.findall(r"--args=([\w-]+)", "\n".join(shell_blocks(RUNBOOK)))
    assert commands
    known = re.findall(r"^ {4}([\w| -]+)\)", (CHECKOUT / "image" / "start.sh").read_text(), re.MULTILINE)
    assert set(commands) <= {name.strip() for line in known for name in line.split("|")}
