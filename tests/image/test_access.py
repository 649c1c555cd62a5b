"""Who gets in by a domain: the accounts of the domain's organization."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun.access import Access

PROJECT = "acme-ml-dev.iam.gserviceaccount.com"
ACCESS = Access(
    domains=("example.com", ".example.org", PROJECT),
    emails=frozenset({"eve@gmail.com", "bob@partner.example", "sa@developer.gserviceaccount.com"}),
)


@pytest.mark.parametrize(
    ("email", "organization"),
    [
        ("ada@example.com", "example.com"),
        ("Ada@Example.com", "EXAMPLE.COM"),
        ("ada@example.com", "lab.example.org"),  # a secondary domain of an organization that is admitted
        ("ada@lab.example.org", "lab.example.org"),
        ("eve@gmail.com", ""),
        ("bob@partner.example", "partner.example"),
        ("bob@partner.example", ""),
        (f"trainer@{PROJECT}", ""),
        ("sa@developer.gserviceaccount.com", ""),
    ],
)
def test_admitted(email: str, organization: str) -> None:
    assert ACCESS.refusal(email, organization) is None


@pytest.mark.parametrize(
    ("email", "organization"),
    [
        ("", ""),
        ("", "example.com"),
        ("ada@example.com", ""),
        ("ada@example.com", "evil.example"),
        ("ada@example.com", "sub.example.com"),
        ("ada@example.com", "notexample.com"),
        ("ada@example.com", "example.com.evil.example"),
        ("ada@example.com", "example.com,evil.example"),
        ("ada@lab.example.org", ""),
        ("ada@lab.example.org", "example.org.evil.example"),
        ("trainer@other.iam.gserviceaccount.com", ""),
        ("ada@example.com.gserviceaccount.com", ""),
        ("eve@gmail.com.evil.example", ""),
    ],
)
def test_refused(email: str, organization: str) -> None:
    assert ACCESS.refusal(email, organization)
