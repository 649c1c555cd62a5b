"""Where the database is and who logs in: what the container refuses of it, and how long it waits."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun import reach, settings, tls

Environment = dict[str, str]
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIDfzCCAmegAwIBAgIBADANBgkqhkiG9w0BAQsFADB3\n-----END CERTIFICATE-----\n"
ACCOUNTS = "mlflow-server@acme.iam.gserviceaccount.com, mlflow-gc@acme.iam.gserviceaccount.com"
WITH_PASSWORD = "postgresql+psycopg2://mlflow:hidden%2F@/mlflow?host=/cloudsql/p:r:i"  # noqa: S105


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (("password", WITH_PASSWORD, ""), ""),
        (("password", "postgresql+psycopg2:///mlflow?host=/cloudsql/p:r:i", ""), "USER:PASSWORD"),
        (("both", WITH_PASSWORD, ACCOUNTS), ""),
        (("both", WITH_PASSWORD, ""), "DATABASE_ACCOUNTS must name the service accounts"),
        (("both", WITH_PASSWORD, "ada@example.com"), "DATABASE_ACCOUNTS must name the service accounts"),
        (("both", "mysql+pymysql:///mlflow?unix_socket=/cloudsql/p:r:i", ACCOUNTS), "USER:PASSWORD"),
        (("iam", "mysql+pymysql:///mlflow?unix_socket=/cloudsql/p:r:i", ""), ""),
        (("iam", "postgresql+psycopg2:///mlflow?host=/cloudsql/p:r:i", ACCOUNTS), ""),
        (("iam", WITH_PASSWORD, ACCOUNTS), "without a user: the account logs in"),
        (("iam", "postgresql+psycopg2://:hidden@/mlflow", ACCOUNTS), "without a user: the account logs in"),
        (("IAM", WITH_PASSWORD, ACCOUNTS), "DATABASE_LOGIN must be one of password, both, iam"),
    ],
)
def test_the_uri_has_a_user_where_a_password_logs_in_and_none_where_the_account_does(
    environ: Environment, tmp_path: Path, given: tuple[str, str, str], problem: str
) -> None:
    names = ("DATABASE_LOGIN", "BACKEND_STORE_URI", "DATABASE_ACCOUNTS")
    told = settings.configure("serve", environ | dict(zip(names, given, strict=True)), tmp_path / "out")
    assert [problem in one for one in told] == [True] * bool(problem)
    assert "hidden" not in "".join(told)


@pytest.mark.parametrize("scheme", tls.QUERIES)
@pytest.mark.parametrize(
    ("host", "query", "authority", "problem"),
    [
        ("10.27.0.3:5432", "", CERTIFICATE, ""),
        ("10.27.0.3:5432", "", CERTIFICATE * 2, ""),
        ("10.27.0.3:5432", "", "", "belong together"),
        ("", "host=/cloudsql/p:r:i", CERTIFICATE, "belong together"),
        ("10.27.0.3:5432", "sslmode=disable", CERTIFICATE, "nobody else may answer"),
        ("10.27.0.3:5432", "host=/cloudsql/p:r:i", CERTIFICATE, "nobody else may answer"),
        ("10.27.0.3:5432", "", "MIID", "must be certificates in PEM"),
        ("10.27.0.3:5432", "", CERTIFICATE.replace("CERTIFICATE", "PRIVATE KEY"), "must be certificates in PEM"),
    ],
)
def test_a_database_in_a_network_proves_who_it_is(  # noqa: PLR0913, PLR0917 - a row each
    environ: Environment, tmp_path: Path, scheme: str, host: str, query: str, authority: str, problem: str
) -> None:
    uri = f"{scheme}://mlflow:hidden@{host}/mlflow?{query or tls.QUERIES[scheme]}"
    environ |= {"BACKEND_STORE_URI": uri, tls.VARIABLE: authority}
    problems = settings.configure("serve", environ, tmp_path / "out")
    assert [problem in found for found in problems] == ([True] if problem else [])
    assert "hidden" not in "".join(problems)
    settings.write_authority(environ, tmp_path / "authority.pem")
    assert (tmp_path / "authority.pem").exists() == bool(authority)


@pytest.mark.parametrize(
    "uri", ["postgresql+psycopg2://m:p@127.0.0.1:1/d?sslmode=verify-ca", "mysql+pymysql://m:p@127.0.0.1:1/d"]
)
def test_a_database_that_does_not_answer_is_waited_for_and_told(uri: str) -> None:
    with pytest.raises(reach.UnreachableError, match=r"does not answer at 127\.0\.0\.1:1 "):
        reach.reach(uri, patience_s=0.1)


def test_a_socket_is_not_waited_for() -> None:
    reach.reach("postgresql+psycopg2://m:p@/d?host=/cloudsql/p:r:i", patience_s=0)
