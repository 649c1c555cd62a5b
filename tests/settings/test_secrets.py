"""What may be a secret reaches no message."""

from pathlib import Path

import pytest

from stacks.settings.problems import SettingsError
from tests.settings.files import GOOD, changed, read, refused


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("oauth_client_secret", "hunter2"),
        ("access.oauth_client_secret", "hunter2"),
        ("access.oauth", {"client_secret": "hunter2"}),
        ("access.oauth_client", "GOCSPX-hunter2"),
        ("access.oauth_client_id", "GOCSPX-hunter2"),
        ("access.oauth_client_id", "hunter2"),
        ("database.tier", "postgresql://mlflow:hunter2@db/mlflow"),
        ("database", ["password=hunter2"]),
        ("service.public_url", "https://ada:hunter2@mlflow.example.com"),
        ("service.env", {"PIN": {"value": "hunter2"}}),
        ("service.env", ["PIN=hunter2"]),
        ("service.env", "hunter2"),
        ("env", {"DB_PASSWORD": "hunter2"}),
    ],
)
def test_a_secret_in_the_file_is_not_shown(tmp_path: Path, field: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, changed({field: value}))
    assert "hunter2" not in str(caught.value)
    assert "(hidden)" in str(caught.value)


def test_a_secret_in_a_variable_is_not_shown(tmp_path: Path) -> None:
    variable = "MLFLOW_GCP__OAUTH_CLIENT_SECRET"
    (problem,) = refused(tmp_path, GOOD, **{variable: "hunter2"})
    assert "hunter2" not in str(problem)
    assert variable in problem.field
    assert "no secret is a setting" in problem.remedy
