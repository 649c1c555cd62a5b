"""A key of one's own: who must be let in to use it, what goes with it, and what a deployment that exists does."""

from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest

from harness.workspace import one_line
from localcloud.services import kms, secretmanager
from localcloud.services.sql import Instance
from localcloud.store import Store
from localcloud.terraform.model import Refused
from stacks import addresses
from tests.localcloud.calls import sent
from tests.localcloud.changes import actions
from tests.localcloud.keys import ROLE, make_key

if TYPE_CHECKING:
    from harness.workspace import Workspace
    from localcloud.provider import ResourceProvider
    from localcloud.resource import Cloud
    from tests.localcloud.conftest import Documents, Open

RING: Final = "projects/demo-project/locations/europe-west1/keyRings/ml"
KEY: Final = f"{RING}/cryptoKeys/mlflow"
TRACKING_KEY: Final = "projects/acme-ml-dev/locations/europe-west1/keyRings/ml/cryptoKeys/mlflow"
WHERE: Final = {"kms_key_name", "encryption_key_name", "encryption"}

KEYED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "artifactregistry": (
        "google_artifact_registry_repository",
        {"repository_id": "images", "format": "DOCKER", "location": "europe-west1", "kms_key_name": KEY},
    ),
    "sqladmin": (
        "google_sql_database_instance",
        {
            "name": "db",
            "region": "europe-west1",
            "database_version": "POSTGRES_17",
            "encryption_key_name": KEY,
            "settings": [{"tier": "db-custom-1-3840", "edition": "ENTERPRISE"}],
        },
    ),
    "storage": (
        "google_storage_bucket",
        {"name": "acme-models", "location": "europe-west1", "encryption": [{"default_kms_key_name": KEY}]},
    ),
}


@pytest.fixture
def keyed(provider: ResourceProvider, cloud: Cloud) -> ResourceProvider:
    """A project with a key that nobody may use."""
    for service in ("artifactregistry", "cloudkms", "secretmanager", "sqladmin"):
        sent(provider, "google_project_service", None, {"service": f"{service}.googleapis.com"})
    assert cloud.project == "demo-project"
    assert sent(provider, kms.KeyRing.type, None, {"name": "ml", "location": "europe-west1"})[1] == ""
    assert sent(provider, kms.CryptoKey.type, None, {"name": "mlflow", "key_ring": RING})[1] == ""
    return provider


def let_in(provider: ResourceProvider, cloud: Cloud, service: str) -> Any:
    member = f"serviceAccount:{kms.agent_of(cloud, 'demo-project', service)}"
    grant = {"crypto_key_id": KEY, "role": ROLE, "member": member}
    found, refused = sent(provider, kms.CryptoKeyMember.type, None, grant)
    assert refused == ""
    return found


@pytest.mark.parametrize("service", KEYED)
def test_a_service_encrypts_with_a_key_that_its_own_agent_may_use(
    keyed: ResourceProvider, cloud: Cloud, service: str
) -> None:
    kind, config = KEYED[service]
    for other in kms.AGENTS.keys() - {service}:
        let_in(keyed, cloud, other)
    assert f"denied on resource '{KEY}'" in sent(keyed, kind, None, config)[1]
    let_in(keyed, cloud, service)
    assert sent(keyed, kind, None, config)[1] == ""


def test_a_key_of_another_place_encrypts_nothing(keyed: ResourceProvider, cloud: Cloud) -> None:
    kind, config = KEYED["storage"]
    let_in(keyed, cloud, "storage")
    assert "is not in us-central1" in sent(keyed, kind, None, {**config, "location": "us-central1"})[1]


def test_a_secret_is_neither_written_nor_read_without_its_key(keyed: ResourceProvider, cloud: Cloud) -> None:
    replica = {"location": "europe-west1", "customer_managed_encryption": [{"kms_key_name": KEY}]}
    secret, _ = sent(
        keyed,
        "google_secret_manager_secret",
        None,
        {"secret_id": "word", "replication": [{"user_managed": [{"replicas": [replica]}]}]},
    )
    version = {"secret": secret["id"], "secret_data_wo": "opens-nothing", "secret_data_wo_version": 1}
    kind = "google_secret_manager_secret_version"
    assert "useToEncrypt" in sent(keyed, kind, None, version)[1]
    grant = let_in(keyed, cloud, "secretmanager")
    assert sent(keyed, kind, None, version)[1] == ""
    assert secretmanager.value(cloud, "demo-project", "word", "1") == "opens-nothing"
    sent(keyed, kms.CryptoKeyMember.type, grant, None)
    with pytest.raises(Refused, match="denied on resource"):
        secretmanager.value(cloud, "demo-project", "word", "1")


def test_a_key_that_was_destroyed_is_gone_and_its_name_stays_taken(keyed: ResourceProvider, cloud: Cloud) -> None:
    let_in(keyed, cloud, "storage")
    kind, config = KEYED["storage"]
    key = keyed.read(kms.CryptoKey.type, {"id": KEY, "name": "mlflow", "key_ring": RING})
    sent(keyed, kms.CryptoKey.type, key, None)
    assert "or it may not exist" in sent(keyed, kind, None, config)[1]
    assert "already exists" in sent(keyed, kms.CryptoKey.type, None, {"name": "mlflow", "key_ring": RING})[1]


@pytest.mark.parametrize("service", KEYED)
def test_an_organization_that_demands_keys_refuses_what_has_none(
    keyed: ResourceProvider, cloud: Cloud, service: str
) -> None:
    let_in(keyed, cloud, service)
    demanded = {"gcp.restrictNonCmekServices": (f"{service}.googleapis.com",)}
    cloud.circumstances = dataclasses.replace(cloud.circumstances, policies=demanded)
    kind, config = KEYED[service]
    without = {name: value for name, value in config.items() if name not in WHERE}
    assert f"demands a customer-managed key of {service}.googleapis.com" in sent(keyed, kind, None, without)[1]
    assert sent(keyed, kind, None, config)[1] == ""


def test_a_deployment_that_exists_keeps_its_database_and_moves_to_a_key_with_another_instance(
    open_workspace: Open, documents: Documents
) -> None:
    workspace = open_workspace()
    workspace.apply()

    shutil.copy(documents("dev", encryption__kms_key=TRACKING_KEY) / "tracking/cdk.tf.json", workspace.folder)
    result = workspace.terraform("plan", "-input=false", "-no-color", ok=False)
    assert "The database was made without a key of yours" in one_line(result.stderr)

    make_key_and_instance(workspace)
    moved = documents("dev", encryption__kms_key=TRACKING_KEY, database__serving_instance="mlflow-db-keyed")
    workspace = open_workspace()
    shutil.copy(moved / "tracking/cdk.tf.json", workspace.folder)
    told = actions(workspace.plan())
    assert addresses.INSTANCE not in told
    in_place = {addresses.BUCKET, addresses.SERVICE, addresses.BACKEND_STORE_URI, addresses.OAUTH2_PROXY}
    assert {address: told[address] for address in in_place} == dict.fromkeys(in_place, "update")
    holds_data = {"google_sql_database_instance", "google_storage_bucket", "google_secret_manager_secret"}
    assert {kind.split(".")[0] for kind, action in told.items() if "delete" in action} & holds_data == set()
    workspace.apply()
    assert workspace.plans_nothing()


def make_key_and_instance(workspace: Workspace) -> None:
    """Makes a key, and an instance under it, as the runbook does."""
    make_key(workspace.home, TRACKING_KEY, "acme-ml-dev")
    store = Store(workspace.home)
    own = store.get(Instance.type, "acme-ml-dev:mlflow-db") or {}
    connection = str(own["connection_name"]).replace("mlflow-db", "mlflow-db-keyed")
    keyed = {**own, "name": "mlflow-db-keyed", "connection_name": connection, "encryption_key_name": TRACKING_KEY}
    store.put(Instance.type, "acme-ml-dev:mlflow-db-keyed", keyed)
    store.close()
