"""A service account makes tokens and signatures of itself alone."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy

# Each lets its member act as the account: https://cloud.google.com/iam/docs/service-account-permissions
ACTING = ("roles/iam.serviceAccountTokenCreator", "roles/iam.serviceAccountOpenIdTokenCreator")


@policy(
    check_id="CKV_MLFLOW_28",
    name="Whoever makes tokens or signatures of a service account is that account",
    resources=["google_service_account_iam_member"],
    guide="https://cloud.google.com/iam/docs/best-practices-service-accounts#use-attached-service-accounts",
)
def own_signature(grant: Block) -> Iterator[str]:
    """The service signs links as itself, because its key is Google's; anybody else would have all its rights."""
    account, member = grant.value("service_account_id"), grant.value("member")
    if grant.value("role") not in ACTING or UNKNOWN in (account, member):
        return
    name = str(account).rpartition("/")[2]
    if member != f"serviceAccount:{name}":
        yield f"{member} could act as {name}: grant the role to serviceAccount:{name} alone, or not at all"
