"""The container's environment: what it refuses, all at once, and without printing a value."""

import base64
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.service import CLIENT_ID, CLIENT_SECRET, COOKIE_SECRET, SECRETS_FILE
from localcloud.machine.identity import GCLOUD_AUDIENCE
from stacks import mlflow
from stacks.settings.section import DOMAIN_REGEX
from tests.settings.rows import ROWS

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun import environment, proxy_options, settings

Environment = dict[str, str]
PLAYGROUND = "407408718192.apps.googleusercontent.com"
FIXED = tomllib.loads(proxy_options.FIXED_CONFIG.read_text())


def secret_file(environ: Environment, text: str) -> None:
    Path(environ["OAUTH_PROXY_CONFIG"]).write_text(text)


def written(folder: Path) -> dict[str, object]:
    return tomllib.loads((folder / "oauth2-proxy.cfg").read_text())


def test_a_complete_environment_gives_the_fixed_configuration_with_the_secrets(
    environ: Environment, tmp_path: Path
) -> None:
    assert settings.configure("serve", environ, tmp_path / "out") == []
    config = written(tmp_path / "out")
    assert FIXED.items() <= config.items()
    assert {name: config[name] for name in config if name not in FIXED} == {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "cookie_secret": COOKIE_SECRET,
        "redirect_url": "https://mlflow.example.com/oauth2/callback",
        "email_domains": ["example.com"],
        "http_address": f"unix://{tmp_path}/out/socket",
        "upstream_timeout": "301s",
    }
    assert (tmp_path / "out/oauth2-proxy.cfg").stat().st_mode & 0o777 == 0o600


def test_single_addresses_become_the_file_that_the_proxy_wants(environ: Environment, tmp_path: Path) -> None:
    environ |= {"OAUTH_PROXY_EMAILS": "ada@example.org, sa@p.iam.gserviceaccount.com", "OAUTH2_PROXY_EMAIL_DOMAINS": ""}
    assert settings.configure("serve", environ, tmp_path / "out") == []
    emails = Path(str(written(tmp_path / "out")["authenticated_emails_file"]))
    assert emails.read_text().split() == ["ada@example.org", "sa@p.iam.gserviceaccount.com"]


def test_the_articles_file_is_taken_and_its_audience_with_it(environ: Environment, tmp_path: Path) -> None:
    article = 'provider = "google"\nskip_jwt_bearer_tokens = true\nemail_domains = ["example.org"]\n'
    secret_file(
        environ, f'{SECRETS_FILE}{article}extra_jwt_issuers = "https://accounts.google.com={GCLOUD_AUDIENCE}"\n'
    )
    environ["OAUTH2_PROXY_EMAIL_DOMAINS"] = ""
    assert settings.configure("serve", environ, tmp_path / "out") == []
    config = written(tmp_path / "out")
    assert (config["provider"], config["email_domains"]) == ("oidc", ["example.org"])
    assert config["oidc_extra_audiences"] == [GCLOUD_AUDIENCE]
    assert "extra_jwt_issuers" not in config


def test_everything_that_is_wrong_is_told_at_once_and_no_value_is(tmp_path: Path) -> None:
    environ = {"PORT": "http", "BACKEND_STORE_URI": "sqlite:///hidden.db", "OAUTH2_PROXY_SKIP_AUTH_ROUTES": "hidden"}
    problems = settings.configure("serve", environ, tmp_path)
    named = ("PORT", "BACKEND_STORE_URI", "DEFAULT_ARTIFACT_ROOT", "OAUTH_PROXY_CONFIG", "REDIRECT_URL", "SKIP_AUTH")
    assert [name for name in named if not any(name in problem for problem in problems)] == []
    assert "hidden" not in "".join(problems)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("PORT", "8080", "PORT must not be 8080"),
        ("PORT", "70000", "PORT must be a number"),
        ("REQUEST_TIMEOUT_SECONDS", "", "REQUEST_TIMEOUT_SECONDS must be a number"),
        ("REQUEST_TIMEOUT_SECONDS", "3601", "REQUEST_TIMEOUT_SECONDS must be a number"),
        ("BACKEND_STORE_URI", "postgresql://mlflow@/mlflow", "postgresql+psycopg2://"),
        ("BACKEND_STORE_URI", "postgresql+psycopg2://mlflow:p/w@[/mlflow", "URL-encoded"),
        ("DEFAULT_ARTIFACT_ROOT", "s3://bucket", "gs://BUCKET"),
        ("ARTIFACT_ROOTS", "gs://shared/models, s3://x", "s3://x is not gs://BUCKET"),
        ("ARTIFACT_ROOTS", "gs://a?b", "gs://a?b is not gs://BUCKET"),
        ("MLFLOW_SERVER_ALLOWED_HOSTS", "*", "MLFLOW_SERVER_ALLOWED_HOSTS"),
        ("MLFLOW_SERVER_ALLOWED_HOSTS", "*:*", "MLFLOW_SERVER_ALLOWED_HOSTS"),
        ("MLFLOW_SERVER_CORS_ALLOWED_ORIGINS", "", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"),
        ("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "true", "cannot be set"),
        ("MLFLOW_ENABLE_AI_GATEWAY", "true", "MLFLOW_ENABLE_AI_GATEWAY must be false"),
        ("MLFLOW_SERVE_ARTIFACTS", "1", "MLFLOW_SERVE_ARTIFACTS must be false"),
        ("mlflow_enable_ai_gateway", "true", "could open the service"),
        ("oauth2_proxy_skip_auth_routes", ".*", "could open the service"),
        ("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true", "could open the service"),
        ("PGOPTIONS", "-c statement_timeout=0", "could open the service"),
        ("SSL_CERT_FILE", "/tmp/ca.pem", "could open the service"),  # noqa: S108
        ("https_proxy", "http://evil.test", "could open the service"),
        ("OAUTH2_PROXY_REDIRECT_URL", "http://mlflow.example.com/oauth2/callback", "https://HOST/oauth2/callback"),
        ("OAUTH2_PROXY_EMAIL_DOMAINS", "", "nobody is allowed in"),
        ("OAUTH2_PROXY_EMAIL_DOMAINS", "*", "would let strangers in"),
        ("OAUTH2_PROXY_EMAIL_DOMAINS", "gmail.com", "would let strangers in"),
        ("OAUTH2_PROXY_EMAIL_DOMAINS", ".gserviceaccount.com", "would let strangers in"),
        ("OAUTH2_PROXY_EMAIL_DOMAINS", "developer.gserviceaccount.com", "would let strangers in"),
        ("OAUTH2_PROXY_EMAIL_DOMAINS", "com", "would let strangers in"),
        ("OAUTH2_PROXY_EMAIL_DOMAINS", ".yahoo.co.uk", "would let strangers in"),
        ("OAUTH2_PROXY_EMAIL_DOMAINS", "Compute-System.iam.gserviceaccount.com", "would let strangers in"),
        ("OAUTH2_PROXY_OIDC_EXTRA_AUDIENCES", PLAYGROUND, "any Google account gets a token for"),
        ("OAUTH_PROXY_EMAILS", "*@example.com", "item 1 is not an e-mail address"),
        ("OAUTH2_PROXY_SKIP_AUTH_ROUTES", ".*", "could open the service"),
        ("OAUTH2_PROXY_TRUSTED_IPS", "0.0.0.0/0", "could open the service"),
        ("OAUTH2_PROXY_SKIP_AUTH_PREFLIGHT", "true", "could open the service"),
    ],
)
def test_a_dangerous_or_malformed_variable_is_refused(
    environ: Environment, tmp_path: Path, variable: str, value: str, problem: str
) -> None:
    (found,) = settings.configure("serve", environ | {variable: value}, tmp_path / "out")
    assert problem in found


def test_what_cloud_run_sets_and_what_is_allowed_is_taken(environ: Environment, tmp_path: Path) -> None:
    cloud_run = {"K_SERVICE": "s", "K_REVISION": "r", "K_CONFIGURATION": "c", "CLOUD_RUN_TIMEOUT_SECONDS": "300"}
    shell = {"HOME": "/", "PATH": "/usr/bin", "PWD": "/", "HOSTNAME": "h", "TERM": "xterm", "SHLVL": "1", "TZ": "UTC"}
    allowed = dict.fromkeys(environment.ALLOWED, "1")
    assert settings.configure("serve", environ | cloud_run | shell | allowed, tmp_path / "out") == []


def test_what_the_stack_and_the_image_set_is_taken() -> None:
    dockerfile = (
        (proxy_options.FIXED_CONFIG.parent / "Dockerfile").read_text().partition("\nENV ")[2].partition("EXPOSE")[0]
    )
    assert {*re.findall(r"([A-Z_]+)=", dockerfile), *mlflow.ENVIRONMENT} <= {*environment.SYSTEM}


def test_the_lists_of_the_environment_do_not_contradict_each_other() -> None:
    assert not set(environment.ALLOWED) & set(environment.SYSTEM)
    assert set(environment.OFF) <= set(environment.SYSTEM)
    assert [name for name in environment.ALLOWED | environment.SYSTEM if not re.fullmatch(environment.OWN, name)] == []


@pytest.mark.parametrize("command", ["serve", "db-upgrade", "gc"])
def test_every_command_refuses_what_a_program_would_obey(environ: Environment, tmp_path: Path, command: str) -> None:
    more = {"PYTHONSTARTUP": "x", "PGHOST": "evil.test", "MLFLOW_OF_TOMORROW": "x"}
    problems = settings.configure(command, environ | more, tmp_path / "out")
    assert [problem.split()[0] for problem in problems] == sorted(more)


# Of what the settings refuse, the domains; the rest is none, and admits nobody.
REFUSED_DOMAINS = [one for (one,) in ROWS["access.email_domains"].bad if re.fullmatch(DOMAIN_REGEX, one)]


@pytest.mark.parametrize("domain", REFUSED_DOMAINS)
def test_the_container_refuses_the_domains_that_the_settings_refuse(
    environ: Environment, tmp_path: Path, domain: str
) -> None:
    (found,) = settings.configure("serve", environ | {"OAUTH2_PROXY_EMAIL_DOMAINS": domain}, tmp_path / "out")
    assert "would let strangers in" in found


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('skip_auth_routes = [".*"]', "skip_auth_routes cannot be set"),
        ("skip_jwt_bearer_tokens = false", "skip_jwt_bearer_tokens has another value"),
        ('provider = "github"', "provider has another value"),
        ('extra_jwt_issuers = "https://evil.test=x"', "extra_jwt_issuers may name https://accounts.google.com"),
        ("extra_jwt_issuers = 1", "extra_jwt_issuers may name"),
        ("redirect_url = 1", "redirect_url must be a string"),
        ("oidc_extra_audiences = [1]", "oidc_extra_audiences must be a list of strings"),
        ("=", "is not TOML"),
    ],
)
def test_an_option_of_the_file_that_could_open_the_service_is_refused(
    environ: Environment, tmp_path: Path, line: str, problem: str
) -> None:
    secret_file(environ, f"{SECRETS_FILE}{line}\n")
    assert problem in "\n".join(settings.configure("serve", environ, tmp_path / "out"))


# As oauth2-proxy's SecretBytes takes them: https://github.com/oauth2-proxy/oauth2-proxy/blob/v7.15.4/pkg/encryption/utils.go
@pytest.mark.parametrize("length", [16, 24, 32])
@pytest.mark.parametrize("start", ["", "+/ ", "é"])
def test_a_cookie_secret_may_be_the_bytes_themselves(
    environ: Environment, tmp_path: Path, length: int, start: str
) -> None:
    secret = start + "x" * (length - len(start.encode()))
    secret_file(environ, SECRETS_FILE.replace(COOKIE_SECRET, secret))
    assert settings.configure("serve", environ, tmp_path / "out") == []
    assert written(tmp_path / "out")["cookie_secret"] == secret


def test_the_file_may_begin_with_a_byte_order_mark(environ: Environment, tmp_path: Path) -> None:
    secret_file(environ, f"\ufeff{SECRETS_FILE}")
    assert settings.configure("serve", environ, tmp_path / "out") == []


@pytest.mark.parametrize("encode", [base64.b64encode, base64.b32encode])
def test_a_cookie_secret_that_the_proxy_would_refuse_is_told_with_the_command_for_a_good_one(
    environ: Environment, tmp_path: Path, encode: Callable[[bytes], bytes]
) -> None:
    secret_file(environ, SECRETS_FILE.replace(COOKIE_SECRET, encode(b"\xff" * 32).decode()))
    (problem,) = settings.configure("serve", environ, tmp_path / "out")
    assert "URL-safe base64 (head -c 32 /dev/urandom" in problem


@pytest.mark.parametrize(
    ("command", "needs"),
    [
        ("db-upgrade", ["BACKEND_STORE_URI"]),
        ("gc", ["BACKEND_STORE_URI", "DEFAULT_ARTIFACT_ROOT"]),
        ("archive-traces", ["BACKEND_STORE_URI", "DEFAULT_ARTIFACT_ROOT"]),
    ],
)
def test_a_job_needs_no_sign_in(environ: Environment, tmp_path: Path, command: str, needs: list[str]) -> None:
    assert settings.configure(command, {name: environ[name] for name in needs}, tmp_path / "out") == []
    assert len(settings.configure(command, {}, tmp_path / "out")) == len(needs)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", "too-short", "must be 32 bytes in URL-safe base64"),
        ("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", base64.b64encode(b"\xff" * 32).decode(), "must be 32 bytes"),
        ("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", base64.urlsafe_b64encode(b"x" * 33).decode(), "must be 32 bytes"),
        ("MLFLOW_CRYPTO_KEK_PASSPHRASE", "thirty-one-characters-are-short", "must have 32 characters or more"),
        ("IMPORT_STORE_URI", "postgresql+psycopg2://a:hidden@/b", "is for import alone"),
    ],
)
def test_a_key_that_would_not_do_is_refused_without_its_value(
    environ: Environment, tmp_path: Path, name: str, value: str, problem: str
) -> None:
    (told,) = settings.configure("serve", environ | {name: value}, tmp_path / "out")
    assert told.startswith(name)
    assert problem in told
    assert value not in told


def test_keys_of_the_right_form_are_taken(environ: Environment, tmp_path: Path) -> None:
    keys = {
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        "MLFLOW_CRYPTO_KEK_PASSPHRASE": "x" * 32,
    }
    assert settings.configure("serve", environ | keys, tmp_path / "out") == []


AUDIENCE = "/projects/123456789012/locations/europe-west1/services/mlflow"


def behind_iap(environ: dict[str, str], audience: str = AUDIENCE) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith("OAUTH")}
    return kept | {"IAP_AUDIENCE": audience}


def test_behind_iap_nothing_of_oauth2_proxy_is_needed(environ: dict[str, str], tmp_path: Path) -> None:
    keys = {"IAP_KEYS_URL": "http://localhost/keys", "OAUTH2_PROXY_LOGIN_URL": "http://localhost/auth"}
    assert settings.configure("serve", behind_iap(environ) | keys, tmp_path / "out") == []
    assert (tmp_path / "out").is_dir()
    assert not any((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "audience",
    [
        "",
        AUDIENCE.removeprefix("/"),
        f"{AUDIENCE}/",
        f"{AUDIENCE}\n",
        AUDIENCE.replace("123456789012", "acme-ml-dev"),
        "/projects/123456789012/global/backendServices/4242",
        "https://mlflow-123456789012.europe-west1.run.app",
    ],
)
def test_an_audience_is_that_of_a_service(environ: dict[str, str], tmp_path: Path, audience: str) -> None:
    (problem,) = settings.configure("serve", behind_iap(environ, audience), tmp_path / "out")
    assert problem == "IAP_AUDIENCE must be /projects/NUMBER/locations/REGION/services/NAME of this service"


@pytest.mark.parametrize("name", settings.OF_OAUTH2_PROXY)
def test_two_gates_are_refused(environ: dict[str, str], tmp_path: Path, name: str) -> None:
    (problem,) = settings.configure("serve", behind_iap(environ) | {name: "x"}, tmp_path / "out")
    assert problem.startswith(f"{name} is for oauth2-proxy")
