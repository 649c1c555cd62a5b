"""oauth2-proxy's options: taken from the mounted file and the environment, checked, written beside the fixed ones.

Only what is listed here may be set from outside: an option of oauth2-proxy that opens the service cannot slip in
through the mounted file or through the environment, from which oauth2-proxy reads every option by itself
(https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#environment-variables). No value is ever printed.
"""

import base64
import binascii
import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias, cast
from urllib.parse import urlsplit

from mlflow_cloudrun import accounts

FIXED_CONFIG = Path(__file__).parent.parent / "oauth2-proxy.toml"
ACCESS_FILE = "access.json"  # for access.py
SOCKET = "socket"  # where the edge finds oauth2-proxy (haproxy.cfg)

Value: TypeAlias = str | bool | int | list[str]
Problems: TypeAlias = list[str]

ENV_PREFIX = "OAUTH2_PROXY_"
# Who has access, and where Google's endpoints are (a test or demo has its own).
FROM_ENVIRONMENT = {
    "redirect_url": str,
    "email_domains": list,
    "oidc_extra_audiences": list,
    "login_url": str,
    "redeem_url": str,
    "oidc_jwks_url": str,
}
FROM_FILE = {
    "client_id": str,
    "client_secret": str,
    "cookie_secret": str,
    "redirect_url": str,
    "email_domains": list,
    "oidc_extra_audiences": list,
}
REQUIRED = ("client_id", "client_secret", "cookie_secret", "redirect_url")
KEY_BYTES = (16, 24, 32)
GOOGLE_ISSUER = "https://accounts.google.com"
EMAIL = re.compile(r"[^@\s,*]+@[^@\s,*]+\.[^@\s,*]+")


def split(value: str) -> list[str]:
    """Returns the items of a comma-separated list, without blanks."""
    return [item.strip() for item in value.split(",") if item.strip()]


def read_file(environ: Mapping[str, str], problems: Problems) -> dict[str, Value]:
    """Returns the options of the file that OAUTH_PROXY_CONFIG names: the secrets alone, or the article's whole file."""
    path = environ.get("OAUTH_PROXY_CONFIG", "")
    try:
        content: dict[str, object] = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        problems.append(f"OAUTH_PROXY_CONFIG: cannot read the file {path or '(not set)'}: {error.strerror}")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # The parser's own message quotes the text, which is secret.
        problems.append(f"OAUTH_PROXY_CONFIG: {path} is not TOML (https://toml.io)")
        return {}
    return accepted(content, problems)


def accepted(content: Mapping[str, object], problems: Problems) -> dict[str, Value]:
    """Returns the options that a file may set; drops what the image fixes to the same end; the rest is a problem."""
    fixed_anyway: dict[str, Callable[[object], bool]] = {
        "provider": lambda value: value in ("google", "oidc"),
        "skip_jwt_bearer_tokens": lambda value: value is True,
    }
    options: dict[str, Value] = {}
    audiences: list[str] = []
    for name, value in content.items():
        if name == "extra_jwt_issuers":
            audiences = google_audiences(value, problems)
        elif name in FROM_FILE:
            options[name] = typed(name, value, problems)
        elif name not in fixed_anyway:
            problems.append(f"OAUTH_PROXY_CONFIG: {name} cannot be set, the image fixes it")
        elif not fixed_anyway[name](value):
            problems.append(f"OAUTH_PROXY_CONFIG: {name} has another value than the image's")
    if audiences:
        named = options.get("oidc_extra_audiences", [])
        options["oidc_extra_audiences"] = [*(named if isinstance(named, list) else []), *audiences]
    return options


def strings(value: object) -> list[str]:
    """Returns a list of strings as such, and an empty one for anything else."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [item for item in items if isinstance(item, str)] if all(isinstance(item, str) for item in items) else []


def typed(name: str, value: object, problems: Problems) -> Value:
    """Returns the value as oauth2-proxy wants it; a lone string stands for a list of one."""
    if FROM_FILE[name] is list:
        items = [value] if isinstance(value, str) else strings(value)
        if items:
            return items
    elif isinstance(value, str):
        return value
    problems.append(
        f"OAUTH_PROXY_CONFIG: {name} must be a {'list of strings' if FROM_FILE[name] is list else 'string'}"
    )
    return ""


def google_audiences(value: object, problems: Problems) -> list[str]:
    """Returns the audiences of `https://accounts.google.com=AUDIENCE` pairs, the article's way to admit gcloud."""
    pairs = split(value) if isinstance(value, str) else strings(value) or [""]
    issuers_and_audiences = [pair.partition("=") for pair in pairs]
    if any(issuer != GOOGLE_ISSUER or not audience for issuer, _, audience in issuers_and_audiences):
        problems.append(f"OAUTH_PROXY_CONFIG: extra_jwt_issuers may name {GOOGLE_ISSUER}=AUDIENCE alone")
    return [audience for _, _, audience in issuers_and_audiences if audience]


def read_environment(environ: Mapping[str, str]) -> dict[str, Value]:
    """Returns the options that the environment sets; `check_names` has refused every other OAUTH2_PROXY_ variable."""
    options: dict[str, Value] = {}
    for variable in sorted(environ):
        name = variable.removeprefix(ENV_PREFIX).lower()
        if variable.startswith(ENV_PREFIX) and environ[variable] and name in FROM_ENVIRONMENT:
            options[name] = split(environ[variable]) if FROM_ENVIRONMENT[name] is list else environ[variable]
    return options


def check_access(options: Mapping[str, Value], emails: list[str], problems: Problems) -> None:
    """Somebody is let in, and only those who are named."""
    domains = options.get("email_domains") or []
    assert isinstance(domains, list)  # noqa: S101  both readers make it so
    for domain in domains:
        bare = domain.lstrip(".").lower()
        if re.fullmatch(accounts.SHARED_DOMAIN, bare) or "*" in bare or "." not in bare:
            problems.append(f"OAUTH2_PROXY_EMAIL_DOMAINS: {domain} would let strangers in; name your own domain")
    audiences = options.get("oidc_extra_audiences") or []
    assert isinstance(audiences, list)  # noqa: S101  likewise
    problems.extend(
        f"OAUTH2_PROXY_OIDC_EXTRA_AUDIENCES: any Google account gets a token for {audience}"
        for audience in audiences
        if audience == accounts.PLAYGROUND_CLIENT
    )
    problems.extend(
        f"OAUTH_PROXY_EMAILS: item {number} is not an e-mail address"
        for number, email in enumerate(emails, start=1)
        if not EMAIL.fullmatch(email)
    )
    if not domains and not emails:
        problems.append("nobody is allowed in: set OAUTH2_PROXY_EMAIL_DOMAINS or OAUTH_PROXY_EMAILS")


def check_proxy(options: Mapping[str, Value], problems: Problems) -> None:
    """The options that oauth2-proxy cannot do without, and their form."""
    absent = [name for name in REQUIRED if not options.get(name)]
    problems.extend(
        f"OAUTH_PROXY_CONFIG: {name} is missing" for name in absent if name in FROM_FILE and name != "redirect_url"
    )
    redirect = urlsplit(str(options.get("redirect_url", "")))
    local = redirect.scheme == "http" and redirect.hostname == "localhost"
    if redirect.path != "/oauth2/callback" or not (redirect.scheme == "https" or local):
        problems.append("OAUTH2_PROXY_REDIRECT_URL must be https://HOST/oauth2/callback")
    if "cookie_secret" not in absent and not is_cookie_secret(str(options["cookie_secret"])):
        problems.append(
            "OAUTH_PROXY_CONFIG: cookie_secret must be 16, 24 or 32 bytes, as they are or in URL-safe base64 "
            "(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
        )


def is_cookie_secret(text: str) -> bool:
    """Returns whether oauth2-proxy will take it: an AES key, as it is or in URL-safe base64 (its SecretBytes)."""
    return len(text.encode()) in KEY_BYTES or len(decoded(text.rstrip("="))) in KEY_BYTES


def decoded(text: str) -> bytes:
    """Returns what URL-safe base64 without padding stands for; nothing if it is none."""
    if set(text) & set("+/"):
        return b""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def write_private(path: Path, text: str) -> None:
    """Writes a file that only this user can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def write_proxy_config(options: Mapping[str, Value], emails: list[str], timeout_s: int, folder: Path) -> None:
    """Writes oauth2-proxy.cfg, single addresses in the file that oauth2-proxy wants, and who has access for access.py.

    Raises:
        OSError: The folder cannot be written, for example because /tmp is full.
    """
    config: dict[str, Value] = tomllib.loads(FIXED_CONFIG.read_text(encoding="utf-8")) | dict(options)
    config["http_address"] = f"unix://{folder / SOCKET}"
    # The edge stops waiting first: its answer says what the limit is.
    config["upstream_timeout"] = f"{timeout_s + 1}s"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if emails:
        write_private(folder / "emails", "\n".join(emails) + "\n")
        config["authenticated_emails_file"] = str(folder / "emails")
    write_private(folder / ACCESS_FILE, json.dumps({"domains": options.get("email_domains", []), "emails": emails}))
    # A JSON string, list or boolean is a TOML one.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in config.items()]
    write_private(folder / "oauth2-proxy.cfg", "\n".join(lines) + "\n")


def configure(environ: Mapping[str, str], folder: Path, problems: Problems) -> None:
    """Adds what is wrong to the problems; writes the proxy's configuration when there is none."""
    options = read_file(environ, problems) | read_environment(environ)
    emails = split(environ.get("OAUTH_PROXY_EMAILS", ""))
    check_proxy(options, problems)
    check_access(options, emails, problems)
    if not problems:
        try:
            write_proxy_config(options, emails, int(environ["REQUEST_TIMEOUT_SECONDS"]), folder)
        except OSError as error:
            problems.append(f"cannot write {folder}: {error.strerror}; give /tmp some free memory")
