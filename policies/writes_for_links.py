"""The service writes to a bucket only where it hands out links."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy

WRITING = (
    "roles/storage.admin",
    "roles/storage.legacyBucketWriter",
    "roles/storage.objectAdmin",
    "roles/storage.objectCreator",
    "roles/storage.objectUser",
)
SWITCH = "ARTIFACT_LINKS"

# document -> the accounts of services without links, and the members that write, as seen so far (see one_region.py).
_readers: dict[str, set[str]] = {}
_writers: dict[str, set[str]] = {}


@policy(
    check_id="CKV_MLFLOW_29",
    name="A service without links to artifacts does not write to a bucket",
    resources=["google_cloud_run_v2_service", "google_storage_bucket_iam_member"],
    guide="https://cloud.google.com/iam/docs/using-iam-securely#least_privilege",
)
def writes_for_links(resource: Block) -> Iterator[str]:
    """Clients write artifacts themselves: what breaks into a service that only reads cannot change a model.

    Only literals are compared: the plan tells what an expression yields.
    """
    readers = _readers.setdefault(resource.document, set())
    writers = _writers.setdefault(resource.document, set())
    if resource.kind == "google_storage_bucket_iam_member":
        mine, others = _member(resource), readers
        writers.update(mine)
    else:
        mine, others = _reader(resource), writers
        readers.update(mine)
    for member in sorted(mine & others):
        yield f"grant {member} roles/storage.objectViewer, or set {SWITCH} to true (service.artifact_links)"


def _member(grant: Block) -> set[str]:
    member = grant.value("member")
    return {member} if isinstance(member, str) and grant.value("role") in WRITING else set()


def _reader(service: Block) -> set[str]:
    account = service.value("template.service_account")
    variables = {env.value("name"): env.value("value") for env in service.blocks("template.containers.env")}
    links = variables.get(SWITCH, "false")
    reads = links is not UNKNOWN and str(links).lower() != "true"  # checkov makes a boolean of the word
    return {f"serviceAccount:{account}"} if isinstance(account, str) and reads else set()
