"""The module takes and refuses what the settings take and refuse, in the same words; `terraform plan` is asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.terraform import ENGINE
from stacks.settings.cross_rules import CROSS_RULES
from stacks.variables.declarations import LEFT_OUT, WITHOUT_IAP, module_variables, service_variables
from stacks.variables.values import effective
from tests.module.verdicts import KINDS, Input, Verdict, arguments, problems_in_module, table
from tools.docs import CHECKOUT, Part, drifted, write

if TYPE_CHECKING:
    from pathlib import Path

    from stacks.settings.problems import Problem

CONVERTED = ("input should be a valid boolean", "input should be a valid integer", "input should be a valid string")
"""What Terraform makes of another kind of value, it takes: "true" is true and 1 is "1"."""

DROPPED = "there is no such key"
"""Terraform drops attributes that an object's type does not have: https://developer.hashicorp.com/terraform/language/expressions/type-constraints."""

TERRAFORMS_OWN_WORDS = (
    *CONVERTED,
    DROPPED,
    "input should be a valid",
    "the field is required",
    "the section is a table",
)


def test_the_verdicts_are_the_same_but_for_what_terraform_converts_and_drops(tried: list[Verdict]) -> None:
    differing = [one for one in tried if not one.equal]
    unexplained = [
        (one.input.changes, one.in_settings, one.in_module)
        for one in differing
        if one.in_module or any(problem.rule not in (*CONVERTED, DROPPED) for problem in one.in_settings)
    ]
    assert unexplained == []
    assert {one.input.group for one in tried} - {one.input.group for one in differing} >= {"between settings"}


def test_what_is_refused_is_refused_in_the_words_of_the_settings(tried: list[Verdict]) -> None:
    assert [
        (one.input.changes, str(problem), one.in_module)
        for one in tried
        if one.in_module and one.input.group != KINDS
        for problem in one.in_settings
        if not problem.rule.startswith(TERRAFORMS_OWN_WORDS)
        and not any(_is_told(told, one.in_module) for told in _alternatives(one, problem))
    ] == []


def _alternatives(verdict: Verdict, problem: Problem) -> list[Problem]:
    """The problem; with OpenTofu, which tells of one rule of a variable at a time, all of its variable."""
    variable = problem.field.partition(".")[0]
    others = [other for other in verdict.in_settings if other.field.partition(".")[0] == variable]
    return others if ENGINE == "tofu" else [problem]


def _is_told(problem: Problem, said: list[str]) -> bool:
    remedy = problem.remedy[0].upper() + problem.remedy[1:]
    if not problem.url.startswith("https:"):  # pydantic's words for a choice, whose remedy has an example
        return any(problem.rule in detail for detail in said)
    return any(f": {problem.rule}. {remedy}. See {problem.url}" in detail for detail in said)


def test_both_verdicts_are_tried_in_every_group_of_rules(tried: list[Verdict]) -> None:
    for group in ("single settings", "entries of maps", "between settings"):
        assert {bool(one.in_module) for one in tried if one.input.group == group} == {True, False}


def test_what_may_be_a_secret_is_not_shown(tried: list[Verdict]) -> None:
    said = "\n".join(detail for one in tried for detail in one.in_module)
    assert "hunter2" not in said
    assert "GOCSPX-abc" not in said


def test_every_rule_between_settings_is_a_validation_or_reads_what_is_left_out() -> None:
    variables = [*module_variables().values(), *service_variables().values()]
    said = "".join(validation.error_message for one in variables for validation in one.validations)
    for rule in CROSS_RULES:
        left_out = any(path.split(".")[0] in LEFT_OUT for path in rule.reads() - WITHOUT_IAP.keys())
        assert (rule.url.template(effective) in said) != left_out, rule.name


def test_the_table_in_the_readme_is_what_was_tried(tried: list[Verdict], request: pytest.FixtureRequest) -> None:
    part = Part(file="module/README.md", name="verdicts", text=table(tried))
    if request.config.option.update_snapshots:
        write([part], CHECKOUT)
    assert drifted([part], CHECKOUT) == [], "run `make module`"


def test_a_broken_rule_is_noticed(tmp_path: Path) -> None:
    (said,) = problems_in_module(tmp_path, [Input(group="", changes={"database.tier": "db-n1-standard-1"})])
    (detail,) = said
    assert detail.startswith("database.tier: a tier of the Enterprise edition is db-f1-micro")
    assert 'var.database.tier is "db-n1-standard-1"' in detail


@pytest.mark.parametrize(
    "missing", ["access", "oauth_client_secret", "project_id", "project_number", "region", "service"]
)
def test_what_is_required_is_asked_for(tmp_path: Path, missing: str) -> None:
    given = arguments({})
    del given[missing]
    assert f'The argument "{missing}" is required' in _refused_at_once(tmp_path, given)


def test_an_unknown_variable_is_refused(tmp_path: Path) -> None:
    assert 'No argument or block type is named "tier"' in _refused_at_once(tmp_path, arguments({"tier": "x"}))


@pytest.mark.parametrize("secret", ["", "short", "GOCSPX-with space", "GOCSPX-line\n", "GOCSPX-\u00e9\u00e9\u00e9"])
def test_a_client_secret_that_is_none_is_refused_and_not_shown(tmp_path: Path, secret: str) -> None:
    said = _refused_at_once(tmp_path, {**arguments({}), "oauth_client_secret": "${var.secret}"}, secret=secret)
    assert "at least 8 printable characters" in said
    assert "GOCSPX" not in said


FOUNDATION = {
    "bucket_name": "acme-ml-dev-shared",
    "database": {"connection_name": "acme-ml-dev:europe-west1:shared", "name": "mlflow_a", "user": "mlflow_a"},
    "service_account_email": "tracking@acme-ml-dev.iam.gserviceaccount.com",
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"database": {"connection_name": f"acme-ml-dev:europe-west1:{'a' * 60}"}},
            "would have 109 bytes; 107 is the most",
        ),
        ({"database": {"connection_name": "example.com:acme-ml:europe-west1:shared"}}, "without a domain in its id"),
        ({"name": "a" * 49, "project_number": "1" * 18}, "would have 68 characters; 63 is the most"),
        ({"name": "a" * 50}, "would have 50 characters; 49 is the most"),
        ({"bucket_name": "gs://acme"}, "no gs:// before it"),
        ({"database": {"connection_name": "shared"}}, "a connection name is PROJECT:REGION:INSTANCE"),
        ({"database": {**FOUNDATION["database"], "name": "a/b?host=evil"}}, "a name in the database has at most 32"),
        ({"database": {**FOUNDATION["database"], "user": "a:b@c"}}, "a name in the database has at most 32"),
        ({"database": {**FOUNDATION["database"], "engine": "oracle"}}, 'the engine is "postgresql" or "mysql"'),
        ({"service_account_email": "ada@example.com"}, "a service account is NAME@PROJECT"),
    ],
    ids=str,
)
def test_what_the_service_stands_on_is_named_rightly(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    given = {name: value for name, value in arguments({}).items() if name not in ("bucket", "database")}
    assert words in _refused_at_once(tmp_path, given | FOUNDATION | changes, module="modules/service")


def test_a_foundation_that_is_named_rightly_is_accepted(tmp_path: Path) -> None:
    given = {name: value for name, value in arguments({}).items() if name not in ("bucket", "database")}
    assert "Error" not in _refused_at_once(tmp_path, given | FOUNDATION, module="modules/service")


@pytest.mark.parametrize(
    ("name", "value"),
    [("instance", "Db"), ("service", "a" * 50), ("service_account", "short"), ("oauth2_proxy_secret", "a.b")],
)
def test_a_name_of_your_own_is_one_that_google_takes(tmp_path: Path, name: str, value: str) -> None:
    assert f"names.{name}: " in _refused_at_once(tmp_path, arguments({}) | {"names": {name: value}})


OWN_LONG_NAME = {"name": "a-longer-name-for-tracking", "names": {"service_account": "tracking-sa"}}


@pytest.mark.parametrize(
    "changes",
    [
        OWN_LONG_NAME,
        {"names": {"instance": "a" * 50}, "database": {"engine": "mysql"}, "project_id": "abcdef"},
        {"names": {"service": "a" * 44}, "project_number": "1" * 18},
    ],
    ids=str,
)
def test_a_rule_on_names_reads_the_name_of_your_own(tmp_path: Path, changes: dict[str, object]) -> None:
    assert "Error" not in _refused_at_once(tmp_path, arguments({}) | changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"name": "a-longer-name-for-tracking"},
            "the service account's id, a-longer-name-for-tracking-server, would have",
        ),
        (
            {"names": {"service": "a" * 49}, "project_number": "1" * 18},
            "68 characters; 63 is the most. Shorten names.service by 5",
        ),
        ({"names": {"instance": "a" * 60}}, "bytes; 107 is the most that Linux takes. Shorten names.instance by"),
    ],
    ids=str,
)
def test_a_name_of_your_own_that_is_too_long_is_told_by_its_name(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    assert words in _refused_at_once(tmp_path, arguments({}) | changes)


def _refused_at_once(folder: Path, given: dict[str, object], secret: str = "", module: str = "") -> str:
    (folder / "module").mkdir()
    shutil.copy(CHECKOUT / "module" / module / "variables.tf.json", folder / "module")
    variable = {"secret": {"type": "string", "ephemeral": True}}
    document = {"variable": variable, "module": {"mlflow": {"source": "./module", **given}}}
    (folder / "main.tf.json").write_text(json.dumps(document))
    said = ""
    for command in ("init", "plan"):
        result = subprocess.run(
            [ENGINE, command, "-no-color"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | {"TF_VAR_secret": secret},
        )
        said += " ".join(f"{result.stdout}{result.stderr}".replace("│", " ").split())
    return said
