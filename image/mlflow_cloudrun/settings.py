"""Checks the container's environment; all problems are reported at once, and no value is ever printed."""

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from mlflow_cloudrun import environment, permissions, proxy_options, tls
from mlflow_cloudrun.proxy_options import Problems, split

EX_USAGE = 64
HIGHEST_PORT = 65535
LONGEST_REQUEST_S = 3600  # https://cloud.google.com/run/docs/configuring/request-timeout
ARTIFACT_ROOT = re.compile(r"gs://[a-z0-9][a-z0-9._-]+(/[A-Za-z0-9._/-]*)?")
IAP_AUDIENCE, IAP_KEYS_URL = "IAP_AUDIENCE", "IAP_KEYS_URL"
# https://cloud.google.com/iap/docs/signed-headers-howto#verifying_the_jwt_payload
AUDIENCE = re.compile(r"/projects/[1-9][0-9]{5,17}/locations/[a-z]+-[a-z]+[0-9]+/services/[a-z]([a-z0-9-]*[a-z0-9])?")
OF_OAUTH2_PROXY = (
    *("OAUTH_PROXY_CONFIG", "OAUTH_PROXY_EMAILS", "OAUTH2_PROXY_EMAIL_DOMAINS"),
    *("OAUTH2_PROXY_OIDC_EXTRA_AUDIENCES", "OAUTH2_PROXY_REDIRECT_URL"),
)
WEBHOOKS, ARTIFACT_LINKS = "WEBHOOKS", "ARTIFACT_LINKS"
WEBHOOK_KEY, STORED_KEY = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", "MLFLOW_CRYPTO_KEK_PASSPHRASE"
FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")  # https://github.com/fernet/spec/blob/master/Spec.md#key-format
SHORTEST_PASSPHRASE = 32
DATABASE_LOGIN, DATABASE_ACCOUNTS = "DATABASE_LOGIN", "DATABASE_ACCOUNTS"
LOGINS = ("password", "both", "iam")
ACCOUNT = re.compile(r"[a-z0-9-]+@[a-z0-9.:-]+\.gserviceaccount\.com")
CERTIFICATES = re.compile(r"(\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----)+\s*")


def check_names(environ: Mapping[str, str], problems: Problems) -> None:
    """No variable that a program of the container would obey, and that nobody has looked at."""
    problems.extend(
        f"{name} cannot be set: a program of the container reads it, and it could open the service or break it"
        for name in environment.unwanted(environ)
    )
    problems.extend(
        f"{name} must be {value}" for name, value in environment.OFF.items() if environ.get(name, value) != value
    )


def check_database(environ: Mapping[str, str], problems: Problems) -> None:
    """BACKEND_STORE_URI, as the stack's secret holds it, and who logs in."""
    login = environ.get(DATABASE_LOGIN, LOGINS[0])
    if login not in LOGINS:
        problems.append(f"{DATABASE_LOGIN} must be one of {', '.join(LOGINS)}")
    try:
        uri = urlsplit(environ.get("BACKEND_STORE_URI", ""))
        fits = "@" not in uri.netloc if login == "iam" else bool(uri.username)
        ok = uri.scheme in tls.QUERIES and uri.path not in ("", "/") and fits
        scheme, host, query = uri.scheme, uri.hostname, uri.query
    except ValueError:
        ok, scheme, host, query = False, "", None, ""
    if not ok:
        user = "" if login == "iam" else "USER:PASSWORD@"
        problems.append(
            f"BACKEND_STORE_URI must be postgresql+psycopg2://{user}/DATABASE?host=/cloudsql/INSTANCE or "
            f"mysql+pymysql://{user}/DATABASE?unix_socket=/cloudsql/INSTANCE, "
            + ("without a user: the account logs in" if login == "iam" else "the password URL-encoded")
        )
    elif host and query != tls.QUERIES[scheme]:
        problems.append(
            f"BACKEND_STORE_URI names a host, and must end with ?{tls.QUERIES[scheme]}: nobody else may answer"
        )
    authority = environ.get(tls.VARIABLE, "")
    if ok and bool(host) != bool(authority):
        problems.append(f"{tls.VARIABLE} and a host in BACKEND_STORE_URI belong together: set both, or use the socket")
    elif authority and not CERTIFICATES.fullmatch(authority):
        problems.append(f"{tls.VARIABLE} must be certificates in PEM, as Cloud SQL gives them in serverCaCert")
    accounts = split(environ.get(DATABASE_ACCOUNTS, ""))
    if login == "both" and not (accounts and all(map(ACCOUNT.fullmatch, accounts))):
        problems.append(f"{DATABASE_ACCOUNTS} must name the service accounts that are to log in, comma-separated")


def sharing_accounts(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the accounts that the user with the password shares the tables with."""
    return tuple(split(environ.get(DATABASE_ACCOUNTS, ""))) if environ.get(DATABASE_LOGIN) == "both" else ()


def write_authority(environ: Mapping[str, str], path: Path) -> None:
    """Writes the file that the connection string names; drivers read certificates from files alone."""
    if authority := environ.get(tls.VARIABLE):
        path.write_text(authority)


def check_roots(environ: Mapping[str, str], problems: Problems) -> None:
    """Where artifacts are."""
    if not ARTIFACT_ROOT.fullmatch(environ.get("DEFAULT_ARTIFACT_ROOT", "")):
        problems.append("DEFAULT_ARTIFACT_ROOT must be gs://BUCKET")
    for root in split(environ.get("ARTIFACT_ROOTS", "")):
        if not ARTIFACT_ROOT.fullmatch(root):
            problems.append(f"ARTIFACT_ROOTS: {root} is not gs://BUCKET or gs://BUCKET/FOLDER")


def check_keys(environ: Mapping[str, str], problems: Problems) -> None:
    """What is switched on, and the keys that MLflow would otherwise invent, or take from its source."""
    problems.extend(
        f"{switch} must be true or false"
        for switch in (WEBHOOKS, ARTIFACT_LINKS)
        if environ.get(switch, "false") not in ("true", "false")
    )
    if environ.get(WEBHOOKS) == "true" and not environ.get(WEBHOOK_KEY):
        problems.append(f"{WEBHOOKS} needs {WEBHOOK_KEY}: without it each instance would have another key")
    if (key := environ.get(WEBHOOK_KEY)) and not FERNET_KEY.fullmatch(key):
        problems.append(f"{WEBHOOK_KEY} must be 32 bytes in URL-safe base64, 44 characters with the = at the end")
    if len(environ.get(STORED_KEY, "x" * SHORTEST_PASSPHRASE)) < SHORTEST_PASSPHRASE:
        problems.append(f"{STORED_KEY} must have {SHORTEST_PASSPHRASE} characters or more")


def check_permissions(environ: Mapping[str, str], problems: Problems) -> None:
    """The permissions of people."""
    try:
        permissions.Permissions.of(environ)
    except ValueError as error:
        problems.append(f"{permissions.VARIABLE} is not right: {error}")


def check_server(environ: Mapping[str, str], problems: Problems) -> None:
    """Checks the variables that MLflow and the container's port need."""
    port = environ.get("PORT", "")
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= HIGHEST_PORT):
        problems.append("PORT must be a number from 1 to 65535")
    elif port == "8080":
        problems.append("PORT must not be 8080: MLflow listens there, inside the container")
    timeout = environ.get("REQUEST_TIMEOUT_SECONDS", "")
    if not (timeout.isascii() and timeout.isdigit() and 0 < int(timeout) <= LONGEST_REQUEST_S):
        problems.append("REQUEST_TIMEOUT_SECONDS must be a number from 1 to 3600")
    for name in ("MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"):
        items = split(environ.get(name, ""))
        if not items or any(set(item) <= set("*.:/") for item in items):
            problems.append(f"{name} must name the service's own addresses, and not *")


def check_iap(environ: Mapping[str, str], problems: Problems) -> None:
    """Identity-Aware Proxy alone is the gate, for this service alone."""
    if not AUDIENCE.fullmatch(environ[IAP_AUDIENCE]):
        problems.append(f"{IAP_AUDIENCE} must be /projects/NUMBER/locations/REGION/services/NAME of this service")
    problems.extend(
        f"{name} is for oauth2-proxy, which does not run behind Identity-Aware Proxy: leave out it or {IAP_AUDIENCE}"
        for name in OF_OAUTH2_PROXY
        if environ.get(name)
    )


def configure(command: str, environ: Mapping[str, str], folder: Path) -> Problems:
    """Checks what the command needs; for `serve`, writes the proxy's configuration when all is well.

    Returns:
        What is wrong, one sentence each, without any secret; empty when nothing is.
    """
    problems: Problems = []
    check_names(environ, problems)
    check_database(environ, problems)
    check_keys(environ, problems)
    check_permissions(environ, problems)
    if command != "db-upgrade":
        check_roots(environ, problems)
    if environ.get("IMPORT_STORE_URI") and command != "import":
        problems.append("IMPORT_STORE_URI is for import alone")
    if command == "serve":
        check_server(environ, problems)
        if IAP_AUDIENCE in environ:
            check_iap(environ, problems)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            proxy_options.configure(environ, folder, problems)
    return problems


def main() -> None:
    """Runs as `settings.py COMMAND FOLDER`; exits with 64 (EX_USAGE) and one log entry when something is wrong."""
    command, folder = sys.argv[1:]
    problems = configure(command, os.environ, Path(folder))
    if problems:
        text = "The container cannot start:\n" + "\n".join(f"- {problem}" for problem in problems)
        sys.stderr.write(json.dumps({"severity": "CRITICAL", "logger": "settings", "message": text}) + "\n")
        sys.exit(EX_USAGE)
    write_authority(os.environ, Path(tls.FILE))


if __name__ == "__main__":
    main()
