"""Secret values reach Google through write-only arguments."""

from collections.abc import Iterator

from _policy import Block, policy

# type -> the arguments whose value would be kept in the state, and the one that says that a write-only value was given
STORED = {
    "google_secret_manager_secret_version": (["secret_data"], "secret_data_wo_version"),
    "google_sql_database_instance": (["root_password"], None),
    "google_sql_user": (["password"], "password_wo_version"),
}


@policy(
    check_id="CKV_MLFLOW_13",
    name="Secret values are given by write-only arguments",
    resources=list(STORED),
    guide="https://developer.hashicorp.com/terraform/language/manage-sensitive-data/write-only",
)
def write_only_secrets(resource: Block) -> Iterator[str]:
    """Terraform keeps every other argument in plain text, in the plan and in the state.

    A plan never shows a write-only value, so its version number stands for it. A user who signs in with IAM has none.
    """
    stored, version = STORED[resource.kind]
    for argument in stored:
        if resource.value(argument) is not None:
            yield f"{argument} is kept in the state: give the value as {argument}_wo"
    if version and resource.value(version) is None and not str(resource.value("type")).startswith("CLOUD_IAM_"):
        yield f"set {version} beside {version.removesuffix('_version')}: raising it is what writes a new value"
