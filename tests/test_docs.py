"""The documentation is true: what is generated is fresh, and what it names exists."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from stacks.settings.explain import SETTINGS_PAGE
from stacks.settings.load import load
from stacks.settings.model import Settings
from tests.pages import code_in, every_page, make_targets
from tools import docs, faults
from tools.docs import CHECKOUT, Part

CHANGING = CHECKOUT / docs.CHANGING
EXAMPLE = CHECKOUT / docs.EXAMPLE


def section_of(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]


def test_what_is_generated_is_what_the_code_says() -> None:
    """It synthesizes the demo, and the example with every field."""
    check = subprocess.run(
        [sys.executable, "-m", "tools.docs", "--check"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, f"\n{check.stdout}{check.stderr}"
    assert check.stdout == ""


def test_a_drifted_part_is_named_and_rewritten_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- begin settings -->\nold\n<!-- end settings -->\nafter\n")
    part = Part(file="README.md", name="settings", text="new")

    assert [str(one) for one in docs.drifted([part], tmp_path)] == ["README.md: settings"]

    docs.write([part], tmp_path)
    assert docs.drifted([part], tmp_path) == []
    assert readme.read_text() == "before\n<!-- begin settings -->\nnew\n<!-- end settings -->\nafter\n"


def test_a_generated_file_that_is_missing_has_drifted(tmp_path: Path) -> None:
    part = Part(file="example.toml", name=None, text="all of it\n")
    assert docs.drifted([part], tmp_path) == [part]
    docs.write([part], tmp_path)
    assert (tmp_path / "example.toml").read_text() == "all of it\n"


@pytest.mark.parametrize("content", ["", "<!-- begin settings -->", "<!-- begin settings --><!-- end settings -->" * 2])
def test_a_part_needs_its_markers_once_each(content: str) -> None:
    with pytest.raises(ValueError, match="begin settings"):
        Part(file="README.md", name="settings", text="new").put_into(content)


def test_a_fault_without_its_row_is_named(tmp_path: Path) -> None:
    file = tmp_path / "test_faults.py"
    file.write_text("@pytest.mark.fault('it falls', 'it breaks')\ndef test_a_fall(): ...\n")
    assert faults.table(tmp_path).splitlines()[2:] == ["| it falls | it breaks |"]
    file.write_text("def test_a_fall(): ...\n")
    with pytest.raises(ValueError, match=r"test_a_fall needs @pytest\.mark\.fault"):
        faults.table(tmp_path)


@every_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", code_in(page.read_text())))
    assert named <= make_targets()


def test_every_target_is_for_users_or_for_changes_and_help_lists_the_first() -> None:
    targets = make_targets() - {"setup-synth", "setup-test"}
    assert {target for target in targets if f"| `make {target}` |" in CHANGING.read_text()} == targets
    said = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    assert {"demo", "test", "synth"} <= set(re.findall(r"^  make ([a-z-]+)", said, re.MULTILINE)) < targets
    assert len(said.splitlines()) <= 15


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    dead = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert dead == []


@every_page
def test_no_line_is_there_twice(page: Path) -> None:
    """As it is after a merge that kept both sides: the heads of tables and of commands are alike, prose is not."""
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    begins = [line[:50] for line in prose.splitlines() if len(line) >= 50 and not re.match(r"\||[-( ]*<", line)]
    assert [begin for begin in set(begins) if begins.count(begin) > 1] == []


@pytest.mark.parametrize(("page", "most"), [("README.md", 120), ("module/README.md", 250)])
def test_what_a_stranger_reads_first_is_short(page: str, most: int) -> None:
    assert len((CHECKOUT / page).read_text().splitlines()) <= most


def test_the_tree_names_what_is_there() -> None:
    paths = re.findall(r"^([\w./]+)  ", section_of(CHANGING.read_text(), "The tree"), re.MULTILINE)
    assert len(paths) >= 5
    assert [path for path in paths if not (CHECKOUT / path).exists()] == []


def test_errors_point_to_the_page_of_the_settings() -> None:
    page = (CHECKOUT / SETTINGS_PAGE).read_text()
    assert f"see:  {SETTINGS_PAGE}" in page
    assert "<!-- begin settings -->" in page


def test_the_example_can_be_used_as_it_is() -> None:
    settings = load(EXAMPLE, {})
    assert settings.profile == "prod"


def test_a_copied_example_lets_in_the_one_domain_that_it_shows() -> None:
    access = load(EXAMPLE, {}).access
    assert access.email_domains == ["example.com"]
    assert [access.emails, access.service_accounts, access.extra_audiences, access.artifact_writers] == [[], [], [], {}]
    assert not access.gcloud_tokens


def test_the_example_holds_every_field_and_all_of_them_can_be_used_together(tmp_path: Path) -> None:
    everything = tmp_path / "everything.toml"
    everything.write_text(docs.all_fields(EXAMPLE.read_text()))

    shown = tomllib.loads(everything.read_text())
    assert shown.keys() == Settings.model_fields.keys()
    complete = load(everything, {}).model_dump()
    assert {name: set(value) for name, value in shown.items() if isinstance(complete[name], dict)} == {
        name: set(value) for name, value in complete.items() if isinstance(value, dict)
    }


def test_the_example_describes_every_field() -> None:
    lines = EXAMPLE.read_text().splitlines()
    fields = [number for number, line in enumerate(lines) if re.match(r"#?\w+ = ", line)]
    assert len(fields) > 40
    assert [lines[number] for number in fields if not lines[number - 1].startswith("# ")] == []
