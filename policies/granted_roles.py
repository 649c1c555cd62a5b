"""Only roles that the system needs are granted."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy

# Each with its reason; a new grant starts with a line here.
ROLES = {
    "roles/cloudkms.cryptoKeyEncrypterDecrypter": "the services' agents use the key of what they keep, and no other",
    "roles/cloudsql.client": "service and jobs open the database's socket",
    "roles/cloudsql.instanceUser": "service and jobs log in to the database with tokens",
    "roles/iam.serviceAccountTokenCreator": "the service signs links to artifacts as itself, where it hands them out",
    "roles/iap.httpsResourceAccessor": "people and accounts pass Identity-Aware Proxy, where it is the gate",
    "roles/run.invoker": "the public reaches the sign-in, or IAP the service; a schedule starts its job",
    "roles/secretmanager.secretAccessor": "service and jobs read their secrets",
    "roles/storage.objectUser": "clients write artifacts, or the service begins their uploads; jobs delete and archive",
    "roles/storage.objectViewer": "the service lists and shows artifacts",
}


@policy(
    check_id="CKV_MLFLOW_8",
    name="Granted roles come from the project's list",
    resources=["google_*_iam_member"],
    guide="https://cloud.google.com/iam/docs/using-iam-securely#least_privilege",
)
def granted_roles(grant: Block) -> Iterator[str]:
    """Least privilege is kept by a list that a reviewer can read at once."""
    role = grant.value("role")
    if role is not UNKNOWN and role not in ROLES:
        yield f"{role} is not in ROLES of policies/granted_roles.py: use one of them, or add it there with its reason"
