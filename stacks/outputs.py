"""What a deployment tells: addresses to wire on, and commands to paste."""

from cdktf import TerraformOutput, TerraformStack

from stacks.constructs.expressions import local, string
from stacks.tracking import TrackingServer

_ANY_CALL = "/api/2.0/mlflow/experiments/search?max_results=10"
_ANY_SCRIPT = "python -c 'import mlflow; print(mlflow.search_experiments())'"
_ANY_ALLOWED_ACCOUNT = "AN_ALLOWED_SERVICE_ACCOUNT"


def add_outputs(stack: TerraformStack, server: TrackingServer) -> None:
    """Adds the outputs of a tracking server; none is a secret."""
    serving, foundation = server.serving, server.foundation
    token = _identity_token_command(stack)
    for name, value, description in (
        ("url", serving.url, "The URL that Cloud Run gives the service; known before it exists."),
        ("redirect_uri", serving.redirect_uri, "What to register as authorized redirect URI of the OAuth client."),
        ("artifacts_bucket", foundation.bucket_name, "The bucket that holds the artifacts."),
        ("database_connection_name", foundation.instance.connection_name, "PROJECT:REGION:INSTANCE of the database."),
        ("service_account_email", foundation.service_account, "The account that the service runs as."),
        ("browser", serving.base_url, "Open this in a browser and sign in."),
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
        (
            "client_environment",
            f"export MLFLOW_TRACKING_URI='{serving.base_url}' MLFLOW_TRACKING_AUTH=google",
            "The environment of programs that have the package mlflow-google, which renews their tokens.",
        ),
    ):
        TerraformOutput(stack, name, value=value, description=description)


def _identity_token_command(stack: TerraformStack) -> str:
    # People cannot choose the audience of their own token, accounts can; without --include-email the proxy refuses it:
    # https://cloud.google.com/sdk/gcloud/reference/auth/print-identity-token
    own = "gcloud auth print-identity-token"
    impersonated = (
        f'{own} --impersonate-service-account=${{concat(local.service_accounts, ["{_ANY_ALLOWED_ACCOUNT}"])[0]}}'
        f" --audiences=${{local.service_url}} --include-email"
    )
    return string(local(stack, "identity_token_command", string(f'local.gcloud_tokens ? "{own}" : "{impersonated}"')))
