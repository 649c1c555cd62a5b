"""A variable of the environment stands in the place of the field that it names."""

from pathlib import Path

import pytest

from tests.settings.files import GOOD, changed, read, refused


def test_text_numbers_flags_and_lists(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        GOOD,
        MLFLOW_GCP__DATABASE__TIER="db-custom-2-7680",
        MLFLOW_GCP__DATABASE__VERSION="16",
        MLFLOW_GCP__DATABASE__DISK_GB="20",
        MLFLOW_GCP__DATABASE__BACKUPS="false",
        MLFLOW_GCP__ACCESS__EMAILS='["ada@example.com"]',
        MLFLOW_GCP__REGION="us-east4",
        MLFLOW_GCP__LABELS__COST_CENTER="42",
        OTHER="x",
    )
    assert (settings.database.tier, settings.database.version, settings.database.disk_gb) == (
        *("db-custom-2-7680", "16", 20),
    )
    assert not settings.database.backups
    assert settings.access.emails == ["ada@example.com"]
    assert settings.region == "us-east4"
    assert settings.labels == {"cost_center": "42"}


def test_the_names_and_texts_of_extra_variables_are_kept(tmp_path: Path) -> None:
    settings = read(tmp_path, GOOD, MLFLOW_GCP__SERVICE__ENV__My__Level="30", MLFLOW_GCP__SERVICE__ENV__ON="true")
    assert settings.service.env == {"My__Level": "30", "ON": "true"}


def test_the_profile_may_come_from_a_variable(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, GOOD, MLFLOW_GCP__PROFILE="prod")
    assert "prod names its image by digest" in problem.rule


@pytest.mark.parametrize(
    ("variable", "text", "field"),
    [
        ("MLFLOW_GCP__DATABASE__TIER", "huge", "database.tier"),
        ("MLFLOW_GCP__DATABASE__DISK_GB", "many", "database.disk_gb"),
        ("MLFLOW_GCP__SERVICE__MAX_INSTANCES", "99", "service.max_instances"),
        ("MLFLOW_GCP__SERVICE__MAX_INSTANCES", "3\nx = 1", "service.max_instances"),
        ("MLFLOW_GCP__SERVICE__MAX_INSTANCES", "", "service.max_instances"),
        ("MLFLOW_GCP__ACCESS__EMAILS", '["ada@example.com", "eve"]', "access.emails.1"),
        ("MLFLOW_GCP__DATABASE", '{ tier = "huge" }', "database.tier"),
        ("MLFLOW_GCP__DATABASE", "5", "database"),
        ("MLFLOW_GCP__DATABASE__TEIR", "x", "database.teir"),
        ("MLFLOW_GCP__REGION__ZONE", "x", "region"),
        ("MLFLOW_GCP__SERVICE__ENV__PORT", "1", "service.env.PORT"),
        ("MLFLOW_GCP__", "1", '""'),
        ("MLFLOW_GCP__DATABASE__", "1", 'database.""'),
        ("MLFLOW_GCP__LABELS__A__B", "x", "labels.a"),
        ("MLFLOW_GCP__SERVICE__MAX_INSTANCES", "[" * 5_000, "service.max_instances"),
    ],
)
def test_a_bad_one_is_named(tmp_path: Path, variable: str, text: str, field: str) -> None:
    table = changed({"region": None}) if "ZONE" in variable else GOOD
    problems = refused(tmp_path, table, **{variable: text})
    told = [problem.field for problem in problems]
    origin = "" if "ZONE" in variable or "A__B" in variable else f" (from {variable})"
    assert told == [f"{field}{origin}"]


def test_into_a_section_that_is_no_table_the_file_is_to_be_mended(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, GOOD | {"database": 5}, MLFLOW_GCP__DATABASE__TIER="db-f1-micro")
    assert (problem.field, problem.value) == ("database", 5)


def test_a_wider_one_comes_before_a_narrower_one(tmp_path: Path) -> None:
    wide, narrow = {"MLFLOW_GCP__DATABASE": "{ disk_gb = 11 }"}, {"MLFLOW_GCP__DATABASE__DISK_GB": "12"}
    assert read(tmp_path, GOOD, **wide, **narrow).database.disk_gb == 12
