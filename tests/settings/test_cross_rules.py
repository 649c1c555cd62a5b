"""Rules between fields: what is broken is told at one field, and the nearest neighbour is accepted."""

from pathlib import Path
from typing import Final

import pytest

from stacks import names
from stacks.settings import limits
from stacks.settings.cross_rule import CrossRule
from stacks.settings.cross_rules import CROSS_RULES
from stacks.settings.derived import DERIVED
from stacks.settings.model import field_names
from tests.settings.cases import CASES, LONGEST_PROJECT, PROD, Case
from tests.settings.files import changed, read, refused

TRIED_ELSEWHERE: Final = {
    "service_name_fits": "test_each_name_that_becomes_too_long_is_told",
    "host_label_fits": "test_each_name_that_becomes_too_long_is_told",
    "job_accounts_fit": "test_a_name_that_is_too_long_for_a_jobs_account_is_told",
    "socket_path_of_an_existing_instance_fits": "tests/module/test_verdicts.py",
    "existing_instance_has_an_address": "tests/module/test_verdicts.py",
}


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in CROSS_RULES} == {case.rule for case in CASES} | TRIED_ELSEWHERE.keys()


def test_a_rule_reads_settings_and_no_word_that_only_looks_like_one() -> None:
    read_fields = {path for rule in CROSS_RULES for path in rule.reads()}
    assert read_fields - {*field_names(), *DERIVED} == {"database.connection_name"}, "a gap of a text is a setting"


def reads(rule: CrossRule) -> set[str]:
    """The fields of a file that a rule reads, also those from which a default is derived."""
    named = rule.reads()
    derived = {path for name in named if name in DERIVED for path in DERIVED[name].reads()}
    return (named | derived) & set(field_names())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{'-'.join(map(str, case.bad.values()))[:60]}")
def test_a_broken_rule_is_told_at_one_field(tmp_path: Path, case: Case) -> None:
    (problem,) = refused(tmp_path, changed(case.bad))
    assert problem.field == case.field
    assert problem.url.startswith("https://")
    read(tmp_path, changed({**case.bad, **case.mend}))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_rule_is_silent_when_a_field_that_it_reads_is_broken(tmp_path: Path, case: Case) -> None:
    read_fields = next(reads(rule) for rule in CROSS_RULES if rule.name == case.rule)
    broken = min(read_fields - {case.field}, default=case.field)
    assert [problem.field for problem in refused(tmp_path, changed({**case.bad, broken: {}}))] == [broken]


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (24, {"the service account's id"}),
        (44, {"the service account's id", "the bucket's name"}),
        (45, {"the service account's id", "the bucket's name", "the service's host label"}),
        (50, {"the service account's id", "the bucket's name", "the service's host label", "the service's name"}),
    ],
)
def test_each_name_that_becomes_too_long_is_told(tmp_path: Path, length: int, told: set[str]) -> None:
    problems = refused(tmp_path, changed({"name": "a" * length, "project.number": "1" * 18}))
    assert {problem.rule.split(",")[0] for problem in problems} == told


def test_a_name_that_is_too_long_for_a_jobs_account_is_told(tmp_path: Path) -> None:
    read(tmp_path, changed({"name": "a" * 23, "jobs.enabled": True}))
    problems = refused(tmp_path, changed({"name": "a" * 24, "jobs.enabled": True}))
    assert "the id of a job's service account" in {problem.rule.split(",")[0] for problem in problems}


def test_every_name_that_is_accepted_gives_a_sql_instance_id_that_google_takes() -> None:
    # https://cloud.google.com/sql/docs/postgres/instance-settings: 98 characters with the project's id and the colon.
    assert len(f"{LONGEST_PROJECT}:{names.CloudNames.of('a' * 63).instance}") <= 98


def test_prod_is_protected_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    prod = read(tmp_path, changed(PROD))
    assert prod.database.high_availability
    assert prod.database.point_in_time_recovery
    assert prod.database.deletion_protection
    assert not prod.bucket.force_destroy
    assert not prod.access.gcloud_tokens
    assert not prod.access.adc_tokens
    assert read(tmp_path, changed({**PROD, "access.gcloud_tokens": True})).access.gcloud_tokens


def test_dev_can_be_thrown_away(tmp_path: Path) -> None:
    dev = read(tmp_path, changed({}))
    assert not dev.database.high_availability
    assert not dev.database.deletion_protection
    assert dev.bucket.force_destroy
    assert dev.access.gcloud_tokens
    assert dev.access.adc_tokens


@pytest.mark.parametrize("engine", limits.VERSIONS)
def test_the_default_version_is_one_of_the_engine(engine: str) -> None:
    assert limits.DEFAULT_VERSION[engine] in limits.VERSIONS[engine]


@pytest.mark.parametrize(
    ("field", "rule"),
    [("min_instances", "min_instances is at most"), ("max_instances", "two revisions x 1000 instances")],
)
def test_a_thousand_instances_are_a_number_that_other_settings_refuse(tmp_path: Path, field: str, rule: str) -> None:
    (problem,) = refused(tmp_path, changed({f"service.{field}": 1_000}))
    assert problem.rule.startswith(rule)
    (problem,) = refused(tmp_path, changed({f"service.{field}": 1_001}))
    assert "1000 instances" in problem.rule
    assert not problem.rule.startswith(rule)
