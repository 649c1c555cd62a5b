"""Every kind of credential becomes an identity token, through Google's own endpoints as its libraries call them."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from harness import credentials
from harness import google_endpoints as google
from harness.google_endpoints import ADC_AUDIENCE, PERSON, ROBOT, Google, claims
from localcloud.machine.identity import GCLOUD_AUDIENCE, IdentityProvider
from tests.client.package import CLIENT, Variables, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SERVICE = "https://mlflow-123456789012.europe-west1.run.app"


@pytest.fixture
def cloud() -> Google:
    return Google(IdentityProvider(clients=lambda _: None))


@pytest.fixture
def variables(cloud: Google, tmp_path: Path) -> Iterator[Variables]:
    """The environment of a program that reaches Google and has no credentials at all."""
    with google.reached(cloud, tmp_path / "tls") as found:
        home = {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin"), "PYTHONPATH": str(CLIENT), "NO_GCE_CHECK": "true"}
        yield found | home


def token(variables: Variables, **more: str) -> dict[str, object]:
    done = run(variables | more, "token", SERVICE)
    assert done.returncode == 0, done.stderr
    return claims(done.stdout.strip())


FILES = (credentials.key_file, credentials.federation, credentials.impersonated_login, credentials.login)


def identity_of(found: dict[str, object]) -> tuple[object, object]:
    return found["email"], found["aud"]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (credentials.key_file, (ROBOT, SERVICE)),
        (credentials.federation, (ROBOT, SERVICE)),
        (credentials.impersonated_login, (ROBOT, SERVICE)),
        (credentials.login, (PERSON, ADC_AUDIENCE)),
        # as `gcloud auth login --update-adc` leaves it
        (lambda folder: credentials.login(folder, client=GCLOUD_AUDIENCE), (PERSON, GCLOUD_AUDIENCE)),
    ],
)
def test_a_file_of_any_kind_gives_a_token(
    variables: Variables, tmp_path: Path, file: Callable[[Path], Path], expected: tuple[str, str]
) -> None:
    found = token(variables, GOOGLE_APPLICATION_CREDENTIALS=str(file(tmp_path)))
    assert identity_of(found) == expected


def test_the_metadata_server_gives_a_token(variables: Variables, cloud: Google) -> None:
    with google.metadata(cloud) as there:
        assert identity_of(token(variables | there, NO_GCE_CHECK="")) == (ROBOT, SERVICE)


OTHER = "other@demo-project.iam.gserviceaccount.com"


@pytest.mark.parametrize("file", FILES)
def test_any_credential_that_may_impersonates_an_account(
    variables: Variables, tmp_path: Path, file: Callable[[Path], Path]
) -> None:
    found = token(variables, GOOGLE_APPLICATION_CREDENTIALS=str(file(tmp_path)), MLFLOW_GOOGLE_IMPERSONATE=OTHER)
    assert identity_of(found) == (OTHER, SERVICE)


def test_a_machines_account_impersonates_another(variables: Variables, cloud: Google) -> None:
    with google.metadata(cloud) as there:
        found = token(variables | there, NO_GCE_CHECK="", MLFLOW_GOOGLE_IMPERSONATE=OTHER)
    assert identity_of(found) == (OTHER, SERVICE)


def test_federation_without_impersonation_does_with_an_account_that_is_named(
    variables: Variables, tmp_path: Path
) -> None:
    file = credentials.federation(tmp_path, account="")
    found = token(variables, GOOGLE_APPLICATION_CREDENTIALS=str(file), MLFLOW_GOOGLE_IMPERSONATE=OTHER)
    assert identity_of(found) == (OTHER, SERVICE)


def test_gcloud_alone_gives_a_token(variables: Variables, tmp_path: Path, cloud: Google) -> None:
    credentials.gcloud(cloud, tmp_path / "bin", SERVICE)
    assert identity_of(token(variables)) == (PERSON, GCLOUD_AUDIENCE)
    assert identity_of(token(variables, MLFLOW_GOOGLE_IMPERSONATE=ROBOT)) == (ROBOT, SERVICE)


def test_gcloud_does_not_stand_in_for_a_file_that_is_named(variables: Variables, tmp_path: Path, cloud: Google) -> None:
    credentials.gcloud(cloud, tmp_path / "bin", SERVICE)
    done = run(variables | {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "nowhere.json")}, "token", SERVICE)
    assert done.returncode == 78
    assert "nowhere.json is no credential" in done.stderr


def test_a_gcloud_that_nobody_is_signed_in_to_says_what_to_do(variables: Variables, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "gcloud"
    program.parent.mkdir()
    said = "ERROR: (gcloud.auth.print-identity-token) Reauthentication required. Please run: $ gcloud auth login"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    program.chmod(0o755)
    done = run(variables, "token", SERVICE)
    assert done.returncode == 78
    assert "sign in again: run `gcloud auth login`" in done.stderr


ASK_UNTIL_RENEWED = f"""
import pathlib, sys, time
from mlflow_google.tokens import Tokens
over, tokens, before = pathlib.Path(sys.argv[1]), Tokens(), set()
while True:
    token = tokens.get({SERVICE!r})
    assert token.expires > time.time()
    if over.exists() and token.text not in before:
        break
    before.add(token.text)
    print("asked", flush=True)
    time.sleep(0.1)
"""


def test_an_outage_of_google_ends_no_program_whatever_its_credential(
    variables: Variables, tmp_path: Path, cloud: Google
) -> None:
    cloud.lifetime_s = 3
    over = tmp_path / "over"
    environments = [variables | {"GOOGLE_APPLICATION_CREDENTIALS": str(file(tmp_path))} for file in FILES]
    with google.metadata(cloud) as there:
        environments.append({**variables, **there, "NO_GCE_CHECK": ""})
        programs = [
            subprocess.Popen(
                [sys.executable, "-c", ASK_UNTIL_RENEWED, str(over)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for environment in environments
        ]
        for program in programs:
            assert program.stdout
            assert program.stdout.readline() == "asked\n"
        cloud.away.set()
        time.sleep(5)  # longer than any token lives
        over.touch()
        cloud.away.clear()
        for program in programs:
            _, said = program.communicate(timeout=150)
            assert program.returncode == 0, said


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (lambda folder: credentials.federation(folder, account=""), "without a service account has no identity tokens"),
        (
            lambda folder: credentials.login(folder, "revoked"),
            "sign in again: run `gcloud auth application-default login`",
        ),
        (lambda folder: credentials.federation(folder, subject="old"), "the outside token has expired"),
        (lambda folder: folder / "nowhere.json", "nowhere.json is no credential"),
        (lambda folder: credentials.written(folder / "broken.json", type="authorized_user"), "is no credential"),
    ],
)
def test_what_has_no_token_says_what_to_do(
    variables: Variables, tmp_path: Path, file: Callable[[Path], Path], said: str
) -> None:
    done = run(variables | {"GOOGLE_APPLICATION_CREDENTIALS": str(file(tmp_path))}, "token", SERVICE)
    assert done.returncode == 78
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_clock_that_google_names_is_named(variables: Variables, tmp_path: Path, cloud: Google) -> None:
    cloud.clock_is_wrong = True
    done = run(variables | {"GOOGLE_APPLICATION_CREDENTIALS": str(credentials.key_file(tmp_path))}, "token", SERVICE)
    assert done.returncode == 78
    assert "this machine's clock is wrong" in done.stderr


def test_a_machine_without_an_account_says_so(variables: Variables) -> None:
    with google.metadata_without_account() as there:
        done = run(variables | there | {"NO_GCE_CHECK": ""}, "token", SERVICE)
    assert done.returncode == 78
    assert "this machine has no service account" in done.stderr


def test_no_credential_at_all_says_what_to_do(variables: Variables) -> None:
    done = run(variables, "token", SERVICE)
    assert done.returncode == 78
    assert "gcloud auth application-default login" in done.stderr


def test_a_credential_that_may_not_impersonate_says_which_role(
    variables: Variables, tmp_path: Path, cloud: Google
) -> None:
    cloud.may_impersonate.clear()
    file = {"GOOGLE_APPLICATION_CREDENTIALS": str(credentials.federation(tmp_path))}
    done = run(variables | file, "token", SERVICE)
    assert done.returncode == 78
    assert "roles/iam.serviceAccountOpenIdTokenCreator" in done.stderr


def test_a_service_must_be_named(variables: Variables) -> None:
    for arguments in (["token"], ["doctor", "mlflow.example.com"], ["env", "gs://bucket"]):
        done = run(variables, *arguments)
        assert done.returncode == 64
        assert "MLFLOW_TRACKING_URI=https://" in done.stderr


def test_the_variables_of_a_client_are_printed_for_a_shell(variables: Variables) -> None:
    printed = run(variables, "env", f"{SERVICE}/#/experiments").stdout
    assert f"export MLFLOW_TRACKING_URI={SERVICE}\n" in printed
    assert "export MLFLOW_TRACKING_AUTH=google\n" in printed
    assert "A request is repeated for 366 s" in printed
    for shell in ('eval "$printed"', "eval $printed"):
        script = f"{shell}; echo $MLFLOW_TRACKING_AUTH $MLFLOW_HTTP_REQUEST_TIMEOUT"
        done = subprocess.run(
            ["/bin/bash", "-c", script], env={"printed": printed}, capture_output=True, text=True, check=True
        )
        assert done.stdout == "google 300\n"


def test_two_credentials_do_not_share_a_token(variables: Variables, tmp_path: Path) -> None:
    first = token(variables, GOOGLE_APPLICATION_CREDENTIALS=str(credentials.login(tmp_path)))
    second = token(variables, GOOGLE_APPLICATION_CREDENTIALS=str(credentials.key_file(tmp_path)))
    assert first["email"] != second["email"]
