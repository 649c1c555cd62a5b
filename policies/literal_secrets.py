"""No secret stands in the service's plain configuration."""

import re
from collections.abc import Iterator

from _policy import Block, policy, template_of

from image.mlflow_cloudrun import environment

# https://mlflow.org/docs/latest/self-hosting/architecture/backend-store/: a URI that holds the password.
ALWAYS_SECRET = {"BACKEND_STORE_URI", "MLFLOW_BACKEND_STORE_URI"}

SECRET_NAME = re.compile(environment.GIVEAWAY_NAME)
SECRET_VALUE = re.compile(environment.GIVEAWAY_VALUE)


@policy(
    check_id="CKV_MLFLOW_3",
    name="No secret stands in a container's environment, command or arguments",
    resources=["google_cloud_run_v2_service", "google_cloud_run_v2_job"],
    guide="https://cloud.google.com/run/docs/configuring/services/secrets",
)
def literal_secrets(workload: Block) -> Iterator[str]:
    """Plain values are shown to every viewer of the project, and stand in the plan, the state and the revision.

    An expression counts as plain too: whatever it yields becomes a plain value.
    """
    for container in workload.blocks(f"{template_of(workload)}.containers"):
        for variable in container.blocks("env"):
            # In a plan `env` is a sorted set, and checkov fills an unset value with the expression of another variable.
            has_source = bool(variable.blocks("value_source"))
            name, is_plain = variable.written("name"), not has_source and variable.value("value") not in (None, "")
            is_secret = name in ALWAYS_SECRET or SECRET_NAME.fullmatch(name)
            if is_plain and (is_secret or SECRET_VALUE.search(variable.written("value"))):
                yield f"take {name} from Secret Manager: env.value_source.secret_key_ref instead of env.value"
        for part in ("command", "args"):
            words = container.value(part)
            if isinstance(words, list) and any(isinstance(word, str) and SECRET_VALUE.search(word) for word in words):
                yield f"{part}: pass the secret as a mounted file or through env.value_source, never as an argument"
