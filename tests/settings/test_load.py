"""A settings file is read whole: whatever is wrong with it is told at once, and nothing is a traceback."""

import re
from pathlib import Path

import pytest

from stacks.settings.load import environments, load
from stacks.settings.problems import SettingsError
from tests.settings.files import DIGEST, GOOD, IMAGE, changed, read, refused, toml


def test_everything_at_once_in_the_order_of_the_fields(tmp_path: Path) -> None:
    content = """
    zeal = 1
    region = "EU"
    labels = { Team = "ml", team = "ML" }
    profile = "prod"

    [access]
    oauth_client_id = "me"
    emails = ["ada@example.com", "eve"]

    [service]
    image = "mlflow:latest"
    min_instances = 9
    max_instances = 0
    env = { PORT = "1" }

    [database]
    engine = "postgresql"
    version = "8.4"
    teir = "db-f1-micro"

    [project]
    id = "acme-ml-dev"
    """
    assert [problem.field for problem in refused(tmp_path, content)] == [
        *("region", "labels.Team", "labels.team", "project.number", "database.version", "database.teir"),
        *("service.image", "service.max_instances", "service.env.PORT"),
        *("access.oauth_client_id", "access.emails.1", "zeal"),
    ]


def test_an_empty_file_lists_what_is_required(tmp_path: Path) -> None:
    assert [problem.field for problem in refused(tmp_path, "")] == [
        *("region", "project.id", "project.number", "service.image", "access.oauth_client_id", "access.email_domains")
    ]


def test_the_text_counts_and_lists_the_problems(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, changed({"region": "EU", "service.concurrency": 0}))
    head, *blocks = str(caught.value).split("\n\n")
    assert head == f"{tmp_path / 'env.toml'}: 2 problems"
    assert [block.splitlines()[0] for block in blocks] == ["  region = 'EU'", "  service.concurrency = 0"]
    assert all(len(block.splitlines()) == 4 for block in blocks)


@pytest.mark.parametrize(
    ("field", "nearest"),
    [
        ("database.teir", "database.tier"),
        ("dataabse", "database"),
        ("tier", "database.tier"),
        ("service.tier", "database.tier"),
        ("project.region", "region"),
        ("access.email_domain", "access.email_domains"),
        ("database.memory", "service.memory"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(tmp_path: Path, field: str, nearest: str) -> None:
    (problem,) = refused(tmp_path, changed({field: 1}))
    assert problem.rule == "there is no such key"
    assert problem.field == field
    assert problem.remedy == f"write {nearest}"


def test_a_key_like_no_other_is_to_be_removed(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, changed({"xyzzyplugh": 1}))
    assert problem.remedy == "remove it"


@pytest.mark.parametrize("key", ["", "[key]", "a b", "a\nb", "a.b", "\x1b[2J", "\u00e9", "a = 1\n  region"])
def test_an_odd_key_is_quoted(tmp_path: Path, key: str) -> None:
    for table, prefix in ((GOOD | {key: 1}, ""), (changed({f"database.{key}": 1}), "database.")):
        (problem,) = refused(tmp_path, table)
        assert problem.field.startswith(f'{prefix}"')
        assert problem.field.isprintable()
        assert problem.field.isascii()


@pytest.mark.parametrize("profile", ["dev", "prod"])
@pytest.mark.parametrize("section", ["project", "state", "database", "bucket", "service", "access"])
def test_a_section_that_is_no_table_is_refused_as_a_whole(tmp_path: Path, section: str, profile: str) -> None:
    pinned = changed({"profile": profile, "service.image": IMAGE + DIGEST})
    (problem,) = refused(tmp_path, pinned | {section: 5})
    assert (problem.field, problem.rule) == (section, "the section is a table")


def test_a_missing_file_lists_the_environments(tmp_path: Path) -> None:
    for name in ("prod", "demo"):
        (tmp_path / f"{name}.toml").touch()
    assert environments(tmp_path) == ["demo", "prod"]
    with pytest.raises(SettingsError, match=r"does not exist\. Known environments: demo, prod\."):
        load(tmp_path / "staging.toml", {})


def test_a_missing_folder_has_no_environments(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Known environments: none"):
        load(tmp_path / "none" / "demo.toml", {})


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read \(Is a directory\)"):
        load(tmp_path, {})


def test_an_unreadable_file_is_told_with_its_reason(tmp_path: Path) -> None:
    link = tmp_path / "loop.toml"
    link.symlink_to(link)
    with pytest.raises(SettingsError, match=r"cannot be read \(Too many levels of symbolic links\)"):
        load(link, {})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'region = "\xff"', "UTF-8 (invalid start byte at byte 10)"),
        ('region = "europe-west1', "Unterminated string (at end of document)"),
        ("\n\nregion == 1", "at line 3"),
        ("region = 1\nregion = 2\n", "at line 2"),
        ("x = " + "[" * 5_000 + "]" * 5_000, "nested too deeply"),
        ("x = " + "9" * 5_000, "4300"),
        ("\x00", "at line 1"),
    ],
)
def test_what_is_no_toml_is_told_with_its_place(tmp_path: Path, content: str | bytes, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'env.toml'} is not ")
    assert reason in str(caught.value)


def test_a_file_may_have_a_byte_order_mark_and_carriage_returns(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbf" + toml(GOOD).replace("\n", "\r\n").encode()) == read(tmp_path, GOOD)


@pytest.mark.parametrize("value", ["0x" + "f" * 5_000, "nan", "-inf", "2026-01-01", "07:32:00", "1e400", "true", "[]"])
@pytest.mark.parametrize("key", ["database.disk_gb", "project.number", "labels", "xyzzyplugh", "service.env.A"])
def test_what_only_toml_can_say_is_refused_in_its_place(tmp_path: Path, value: str, key: str) -> None:
    content = toml(changed({key: "@@"})).replace('"@@"', value)
    (problem,) = refused(tmp_path, content)
    assert problem.field == key
    assert len(str(problem)) < 1_000


def test_tables_nested_deeper_than_python_can_follow(tmp_path: Path) -> None:
    deep = ".".join(["x"] * 3_000)
    content = f"{toml(GOOD)}[{deep}]\n[database.{deep}]\n[labels.{deep}]\n"
    assert [problem.field for problem in refused(tmp_path, content)] == ["labels.x", "database.x", "x"]


def test_the_permissions_of_the_page_are_taken(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/teams.md").read_text()
    block, teams = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert sorted(read(tmp_path, toml(GOOD) + teams).permissions.teams) == ["speech", "vision"]
    found = read(tmp_path, toml(GOOD) + block).permissions
    assert (found.enabled, found.default, found.admins, found.readers) == (
        True,
        "READ",
        ["ada@example.com"],
        ["auditor@example.com"],
    )
