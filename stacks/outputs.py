"""The outputs of a deployment: addresses for other Terraform, and commands to paste."""

from collections.abc import Iterable
from typing import Any

from cdktf import TerraformOutput, TerraformStack

from stacks.constructs.expressions import local, string
from stacks.inputs import FoundationInputs
from stacks.serving import Serving

_ANY_CALL = "/api/2.0/mlflow/experiments/search?max_results=10"
_ANY_SCRIPT = "python -c 'import mlflow; print(mlflow.search_experiments())'"
_ANY_ALLOWED_ACCOUNT = "AN_ALLOWED_SERVICE_ACCOUNT"


Output = tuple[str, Any, str]

_OF_OAUTH2_PROXY = ("client_environment", "redirect_uri")
"""Outputs that another gate has no use for."""


def add_outputs(stack: TerraformStack, outputs: Iterable[Output]) -> None:
    """Adds outputs, each with its description; none is a secret."""
    for name, value, description in outputs:
        # A variable may have the same name; constructs of one scope may not.
        element = TerraformOutput(stack, f"output-{name}", value=value, description=description)
        element.override_logical_id(name)


def addresses(foundation: FoundationInputs, serving: Serving) -> list[Output]:
    """Outputs for other Terraform, the same in a deployment and in a module."""
    found: list[Output] = [
        ("bucket_name", foundation.bucket_name, "Name of the bucket that holds the artifacts."),
        (
            "client_environment",
            f"export MLFLOW_TRACKING_URI='{serving.base_url}' MLFLOW_TRACKING_AUTH=google",
            "The environment of programs that use the package mlflow-google, which renews their tokens.",
        ),
        ("database_connection_name", foundation.instance.connection_name, "PROJECT:REGION:INSTANCE of Cloud SQL."),
        ("database_instance_name", foundation.instance.name, "Name of the Cloud SQL instance."),
        (
            "job_names",
            serving.jobs,
            "The Cloud Run jobs by purpose, for `gcloud run jobs execute`; none with `jobs.enabled = false`.",
        ),
        ("redirect_uri", serving.redirect_uri, "The authorized redirect URI to register with the OAuth client."),
        (
            "secret_ids",
            {name: secret.id for name, secret in serving.secrets.items()},
            "The secrets, projects/PROJECT/secrets/NAME, with the connection string and the sign-in's secrets.",
        ),
        ("service_account_email", foundation.account.email, "The account that the service runs as."),
        ("service_account_member", foundation.account.member, "The same account as an IAM member."),
        ("service_id", serving.service.id, "projects/PROJECT/locations/REGION/services/NAME of the service."),
        ("service_name", serving.service.name, "Name of the Cloud Run service."),
        (
            "tracking_uri",
            serving.base_url,
            "What people open and clients set as MLFLOW_TRACKING_URI: the public URL if there is one, else url.",
        ),
        ("url", serving.url, "The URL that Cloud Run gives the service; known before it exists."),
    ]
    return found if serving.redirect_uri else [one for one in found if one[0] not in _OF_OAUTH2_PROXY]


def commands(stack: TerraformStack, serving: Serving) -> list[Output]:
    """Commands to paste into a shell; none where programs need another token than gcloud prints (docs/clients.md)."""
    if not serving.redirect_uri:
        return []
    token = _identity_token_command(stack)
    return [
        (
            "curl",
            f"""curl --header "Authorization: Bearer $({token})" '{serving.base_url}{_ANY_CALL}'""",
            "Asks the API from a shell.",
        ),
        (
            "python",
            f"""export MLFLOW_TRACKING_URI='{serving.base_url}' MLFLOW_TRACKING_TOKEN="$({token})"\n{_ANY_SCRIPT}""",
            "Points the MLflow SDK at the service without the package mlflow-google; the token lasts an hour.",
        ),
    ]


def _identity_token_command(stack: TerraformStack) -> str:
    # People cannot choose the audience of their own token, accounts can; without --include-email the proxy refuses it:
    # https://cloud.google.com/sdk/gcloud/reference/auth/print-identity-token
    own = "gcloud auth print-identity-token"
    impersonated = (
        f'{own} --impersonate-service-account=${{concat(local.service_accounts, ["{_ANY_ALLOWED_ACCOUNT}"])[0]}}'
        f" --audiences=${{local.service_url}} --include-email"
    )
    return string(local(stack, "identity_token_command", string(f'local.gcloud_tokens ? "{own}" : "{impersonated}"')))
