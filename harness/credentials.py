"""The credentials that Google's tools leave on a machine, made for the endpoints of harness/google_endpoints.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from harness.google_endpoints import ADC_AUDIENCE, GOOD, IAM, OAUTH2, PERSON, POOL, ROBOT, STS, SUBJECT
from localcloud.machine.identity import GCLOUD_AUDIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from harness.google_endpoints import Google

GCLOUD = """#!/bin/sh
case "$*" in
*--impersonate-service-account=*) echo "{robot}" ;;
*) echo "{person}" ;;
esac
"""


def gcloud(google: Google, folder: Path, service: str) -> Path:
    """Writes a gcloud that somebody is signed in to; returns its folder."""
    folder.mkdir()
    program = folder / "gcloud"
    program.write_text(GCLOUD.format(person=google.token(GCLOUD_AUDIENCE, PERSON), robot=google.token(service, ROBOT)))
    program.chmod(0o755)
    return folder


def key_file(folder: Path) -> Path:
    """Writes a service account's key file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return written(
        folder / "key.json",
        type="service_account",
        project_id="demo-project",
        private_key_id="1",
        private_key=private,
        client_email=ROBOT,
        client_id="1",
        token_uri=f"https://{OAUTH2}/token",
    )


def federation(folder: Path, *, account: str = ROBOT, subject: str = SUBJECT) -> Path:
    """Writes a configuration of workload identity federation, as GitHub's action makes it."""
    (folder / "subject").write_text(subject)
    iam = f"https://{IAM}/v1/projects/-/serviceAccounts/{account}:generateAccessToken"
    return written(
        folder / "federation.json",
        type="external_account",
        audience=POOL,
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",  # noqa: S106  the name of a kind
        token_url=f"https://{STS}/v1/token",
        credential_source={"file": str(folder / "subject")},
        **({"service_account_impersonation_url": iam} if account else {}),
    )


def login(folder: Path, refresh_token: str = GOOD, client: str = ADC_AUDIENCE) -> Path:
    """Writes what `gcloud auth application-default login` leaves of a person."""
    return written(folder / "adc.json", **{**person(refresh_token), "client_id": client})


def impersonated_login(folder: Path) -> Path:
    """Writes what `gcloud auth application-default login --impersonate-service-account` leaves."""
    iam = f"https://{IAM}/v1/projects/-/serviceAccounts/{ROBOT}:generateAccessToken"
    return written(
        folder / "impersonated.json",
        type="impersonated_service_account",
        service_account_impersonation_url=iam,
        source_credentials=person(GOOD),
        delegates=[],
    )


def person(refresh_token: str) -> dict[str, str]:
    """Returns a person's stored login."""
    return {
        "type": "authorized_user",
        "client_id": ADC_AUDIENCE,
        "client_secret": "public",
        "refresh_token": refresh_token,
    }


def written(path: Path, **content: object) -> Path:
    """Writes a credential file."""
    path.write_text(json.dumps(content))
    return path
