"""Who gets in: what oauth2-proxy is told, split by who may read it.

What is secret (client, cookie) goes into the secret file; who has access is plain environment, so that a reviewer sees
it in the plan and adding a domain signs nobody out. What never changes ships with the image.
Any `OAUTH2_PROXY_*` variable overrides the file:
https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#environment-variables
"""

from dataclasses import dataclass

from constructs import Construct

from stacks import names
from stacks.constructs.ephemeral import random_password
from stacks.constructs.expressions import local, string
from stacks.settings.access import Access

# 43 letters and digits are URL-safe base64 of 32 bytes, the longest of the three lengths that oauth2-proxy takes:
# https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#generating-a-cookie-secret
_COOKIE_SECRET_LENGTH = 43


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInConfig:
    """What sign-in needs; strings may be Terraform tokens.

    Attributes:
        oauth_client_secret: An ephemeral expression.
        service_url: The URL that Cloud Run gives the service.
        public_url: Another URL under which people reach it, or the empty string.
    """

    inputs: Access
    oauth_client_secret: str
    service_url: str
    public_url: str


class SignIn(Construct):
    """The configuration of oauth2-proxy.

    Attributes:
        base_url: Where people open the service.
        redirect_uri: What to register with the OAuth client.
        secret_file: The secret part of the configuration, TOML, ephemeral: fit for write-only arguments alone.
        environment: The plain part, variable by variable, with the names by which MLflow is called.
    """

    def __init__(self, scope: Construct, id_: str, *, config: SignInConfig) -> None:
        super().__init__(scope, id_)
        inputs = config.inputs
        service_url = local(self, "service_url", config.service_url)
        public_url = local(self, "public_url", config.public_url)
        base_url = local(self, "base_url", string(f"coalesce({public_url}, {service_url})"))
        emails = local(self, "emails", inputs.emails)
        email_domains = local(self, "email_domains", inputs.email_domains)
        service_accounts = local(self, "service_accounts", inputs.service_accounts)
        self.base_url = string(base_url)
        self.redirect_uri = f"{self.base_url}{names.CALLBACK_PATH}"
        self.secret_file = "".join(
            f"{key} = {_toml_string(expression)}\n"
            for key, expression in (
                ("client_id", local(self, "oauth_client_id", inputs.oauth_client_id)),
                ("client_secret", config.oauth_client_secret),
                ("cookie_secret", random_password(self, "cookie_secret", length=_COOKIE_SECRET_LENGTH)),
            )
        )
        self.environment = {
            "OAUTH_PROXY_CONFIG": f"{names.PROXY_CONFIG_FOLDER}/{names.PROXY_CONFIG_FILE}",
            "OAUTH_PROXY_EMAILS": string(f'join(",", concat({emails}, {service_accounts}))'),
            "OAUTH2_PROXY_EMAIL_DOMAINS": string(f'join(",", {email_domains})'),
            "OAUTH2_PROXY_OIDC_EXTRA_AUDIENCES": self._audiences(inputs, service_url, public_url),
            "OAUTH2_PROXY_REDIRECT_URL": self.redirect_uri,
            # MLflow refuses a Host and an Origin that it was not told:
            # https://mlflow.org/docs/latest/self-hosting/security/network/
            "MLFLOW_SERVER_ALLOWED_HOSTS": string(
                f'join(",", [for url in compact([{service_url}, {public_url}]) : split("://", url)[1]])'
            ),
            "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": string(f'join(",", compact([{service_url}, {public_url}]))'),
        }

    def _audiences(self, inputs: Access, service_url: str, public_url: str) -> str:
        extra = local(self, "extra_audiences", inputs.extra_audiences)
        gcloud = f'{local(self, "gcloud_tokens", inputs.gcloud_tokens)} ? "{names.GCLOUD_AUDIENCE}" : ""'
        adc = f'{local(self, "adc_tokens", inputs.adc_tokens)} ? "{names.ADC_AUDIENCE}" : ""'
        return string(f'join(",", compact(concat([{service_url}, {public_url}, {gcloud}, {adc}], {extra})))')


def _toml_string(expression: str) -> str:
    # A JSON string is a TOML basic string but for DEL, which TOML wants escaped: https://toml.io/en/v1.0.0#string
    return string(f'replace(jsonencode({expression}), "\\u007f", "\\\\u007f")')
