"""Sign-in: the configuration of oauth2-proxy, split into what is secret and what is not.

What is secret (client, cookie) goes into the secret file; who has access is plain environment, so that a reviewer sees
it in the plan and adding a domain signs nobody out. What never changes ships with the image.
Any `OAUTH2_PROXY_*` variable overrides the file:
https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#environment-variables
"""

from dataclasses import dataclass

from constructs import Construct

from stacks import addresses, names
from stacks.constructs.ephemeral import random_password
from stacks.constructs.expressions import local, string
from stacks.constructs.secrets import Secret, SecretConfig
from stacks.constructs.urls import Urls
from stacks.constructs.workload import Workload
from stacks.inputs import Placement
from stacks.settings.access import Access

# 43 letters and digits are URL-safe base64 of 32 bytes, the longest of the three lengths that oauth2-proxy takes:
# https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#generating-a-cookie-secret
_COOKIE_SECRET_LENGTH = 43


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInConfig:
    """Inputs of sign-in; strings may be Terraform tokens.

    Attributes:
        secret_id: The secret that holds what is secret in oauth2-proxy's configuration.
        oauth_client_secret: An ephemeral expression.
        urls: Where the service is found.
    """

    inputs: Access
    placement: Placement
    secret_id: str
    oauth_client_secret: str
    urls: Urls


class SignIn(Construct):
    """The configuration of oauth2-proxy.

    Attributes:
        redirect_uri: What to register with the OAuth client.
        secret: The secret part of the configuration, TOML.
    """

    def __init__(self, scope: Construct, id_: str, *, config: SignInConfig) -> None:
        super().__init__(scope, id_)
        inputs, self._prefix = config.inputs, config.placement.prefix
        emails = self._local("emails", inputs.emails)
        email_domains = self._local("email_domains", inputs.email_domains)
        service_accounts = self._local("service_accounts", inputs.service_accounts)
        self.redirect_uri = f"{config.urls.base}{names.CALLBACK_PATH}"
        self.secret = Secret(
            self,
            "oauth2-proxy",
            config=SecretConfig(
                address=addresses.OAUTH2_PROXY,
                secret_id=config.secret_id,
                placement=config.placement,
                value=self._secret_file(config),
                value_version=inputs.sign_in_rotation,
            ),
        )
        self._environment = {
            "OAUTH_PROXY_CONFIG": f"{names.PROXY_CONFIG_FOLDER}/{names.PROXY_CONFIG_FILE}",
            "OAUTH_PROXY_EMAILS": string(f'join(",", concat({emails}, {service_accounts}))'),
            "OAUTH2_PROXY_EMAIL_DOMAINS": string(f'join(",", {email_domains})'),
            "OAUTH2_PROXY_OIDC_EXTRA_AUDIENCES": self._audiences(inputs, config.urls),
            "OAUTH2_PROXY_REDIRECT_URL": self.redirect_uri,
        }

    def guard(self, workload: Workload) -> None:
        """Gives a workload the configuration of its oauth2-proxy."""
        workload.set(self._environment)
        workload.mount_secret(
            "oauth2-proxy", self.secret, folder=names.PROXY_CONFIG_FOLDER, file=names.PROXY_CONFIG_FILE
        )

    def _secret_file(self, config: SignInConfig) -> str:
        cookie_secret = random_password(self, f"{config.placement.prefix}cookie_secret", length=_COOKIE_SECRET_LENGTH)
        return "".join(
            f"{key} = {_toml_string(expression)}\n"
            for key, expression in (
                ("client_id", self._local("oauth_client_id", config.inputs.oauth_client_id)),
                ("client_secret", config.oauth_client_secret),
                ("cookie_secret", cookie_secret),
            )
        )

    def _local(self, name: str, value: object) -> str:
        return local(self, f"{self._prefix}{name}", value)

    def _audiences(self, inputs: Access, urls: Urls) -> str:
        extra = self._local("extra_audiences", inputs.extra_audiences)
        gcloud = f'{self._local("gcloud_tokens", inputs.gcloud_tokens)} ? "{names.GCLOUD_AUDIENCE}" : ""'
        adc = f'{self._local("adc_tokens", inputs.adc_tokens)} ? "{names.ADC_AUDIENCE}" : ""'
        return string(f'join(",", compact(concat([{urls.service}, {urls.public}, {gcloud}, {adc}], {extra})))')


def _toml_string(expression: str) -> str:
    # A JSON string is a TOML basic string except DEL, which TOML wants escaped: https://toml.io/en/v1.0.0#string
    return string(f'replace(jsonencode({expression}), "\\u007f", "\\\\u007f")')
