"""Each rule of `policies/` is tripped by the `fails` document of its fixture, and not by the `passes` document.

Resources are named after their variant; one called `beside-...` is there for the others' sake, and what is wrong with a
`written-...` one is seen in the document only, because a plan does not know the value. Every fixture is scanned twice,
as a document and as the plan of it, all in one run of checkov.
"""

from __future__ import annotations

import json
import re

import pytest

from tests.policies.documents import FIXTURES, of_rule
from tests.policies.plans import plan_of, shapes
from tools.scan import ROOT, Finding, Scan, scan

RULES = sorted(path.stem for path in (ROOT / "policies").glob("[!_]*.py"))
FORMS = ("tf.json", "plan.json")


def check_ids(rule: str) -> list[str]:
    return re.findall(r'check_id="(\w+)"', (ROOT / "policies" / f"{rule}.py").read_text())


def resources(rule: str, verdict: str) -> dict[str, str]:
    """The fixture's resources, name to type."""
    document = of_rule(rule)[verdict]
    return {name: kind for kind, named in document["resource"].items() for name in named}


def said_of(findings: list[Finding], rule: str, file: str) -> set[str]:
    """The names of the resources in a fixture that the rule has a finding about."""
    mine = [each for each in findings if each.check_id in check_ids(rule) and each.file == f"{rule}/{file}"]
    return {finding.resource.rpartition(".")[2] for finding in mine}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    folder = tmp_path_factory.mktemp("fixtures")
    for rule in RULES:
        (folder / rule).mkdir()
        documents = of_rule(rule)
        types = shapes(documents.values())
        for verdict, document in documents.items():
            (folder / rule / f"{verdict}.tf.json").write_text(json.dumps(document, indent=2))
            (folder / rule / f"{verdict}.plan.json").write_text(json.dumps(plan_of(document, types), indent=2))
    return scan(folder, checks="CKV_MLFLOW_*")


def test_each_policy_file_is_one_rule_with_an_id_of_its_own() -> None:
    ids = [check_id for rule in RULES for check_id in check_ids(rule)]
    assert all(len(check_ids(rule)) == 1 for rule in RULES)
    assert len(ids) == len(set(ids))
    assert all(check_id.startswith("CKV_MLFLOW_") for check_id in ids)


def test_each_fixture_belongs_to_a_rule() -> None:
    assert {path.stem for path in FIXTURES.glob("*.json")} == set(RULES)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
def test_the_rule_is_tripped(results: Scan, rule: str, form: str) -> None:
    exempt = "beside-" if form == "tf.json" else ("beside-", "written-")
    variants = {name for name in resources(rule, "fails") if not name.startswith(exempt)}
    assert variants
    assert said_of(results.failed, rule, f"fails.{form}") == variants


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
def test_the_rule_lets_pass_what_is_right(results: Scan, rule: str, form: str) -> None:
    ruled_types = set(resources(rule, "fails").values())
    looked_at = {name for name, kind in resources(rule, "passes").items() if kind in ruled_types}
    assert said_of(results.failed, rule, f"passes.{form}") == set()
    assert said_of(results.passed, rule, f"passes.{form}") >= looked_at


def test_a_finding_says_what_is_wrong(results: Scan) -> None:
    mine = [finding for finding in results.failed if finding.check_id.startswith("CKV_MLFLOW_")]
    assert mine
    assert [str(finding) for finding in mine if not all(finding.details)] == []
