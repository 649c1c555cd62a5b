"""What exists already is taken over, by `terraform import` and by import blocks, in the forms of id that are usual."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.workspace import Workspace
    from tests.localcloud.conftest import OpenShop

from harness.workspace import one_line

IDS = {
    "google_storage_bucket.pictures": ["acme-shop-pictures", "acme-shop/acme-shop-pictures"],
    "google_sql_database_instance.main": [
        "shop-db",
        "acme-shop/shop-db",
        "projects/acme-shop/instances/shop-db",
    ],
    "google_sql_database.shop": [
        "projects/acme-shop/instances/shop-db/databases/shop",
        "acme-shop/shop-db/shop",
        "shop-db/shop",
    ],
    "google_service_account.shop": [
        "projects/acme-shop/serviceAccounts/shop-server@acme-shop.iam.gserviceaccount.com",
    ],
    "google_cloud_run_v2_service.shop": [
        "projects/acme-shop/locations/europe-west1/services/shop",
        "europe-west1/shop",
    ],
}


def test_what_was_imported_needs_no_change(shop: Workspace) -> None:
    for address, ids in IDS.items():
        for import_id in ids:
            shop.terraform("state", "rm", address)
            shop.terraform("import", "-input=false", address, import_id)
    assert shop.plans_nothing()


def test_import_blocks_take_over_what_exists(shop: Workspace) -> None:
    shop.terraform("state", "rm", *IDS)
    document = shop.document
    document["import"] = [{"to": address, "id": ids[0]} for address, ids in IDS.items()]
    shop.document = document
    plan = shop.plan()
    imported = {change["address"] for change in plan["resource_changes"] if "importing" in change["change"]}
    assert imported == set(IDS)
    assert {tuple(change["change"]["actions"]) for change in plan["resource_changes"]} == {("no-op",)}


def test_what_exists_is_not_created_again(shop: Workspace) -> None:
    shop.terraform("state", "rm", *IDS)
    message = shop.apply_fails()
    assert "Error 409: Your previous request to create the named bucket succeeded and you already own it." in message
    assert "Error, failed to create instance shop-db: googleapi: Error 409: The Cloud SQL instance already" in message
    assert "terraform import" in message


@pytest.mark.parametrize(
    ("import_id", "words"),
    [
        ("projects/acme-shop/instances/other", "Cannot import non-existent"),
        ("a/b/c/d", "Forms: projects/{project}/instances/{name}, {project}/{name}, {name}"),
    ],
)
def test_an_id_of_nothing_is_refused(open_shop: OpenShop, import_id: str, words: str) -> None:
    workspace = open_shop()
    result = workspace.terraform("import", "google_sql_database_instance.main", import_id, ok=False)
    assert words in one_line(result.stderr)
