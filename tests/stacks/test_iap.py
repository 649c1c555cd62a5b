"""With Identity-Aware Proxy as the gate there is no sign-in of one's own, and no way around the proxy."""

from __future__ import annotations

import json

from stacks import addresses, versions
from tests.stacks.documents import document, resource, resources, text, variables

AUDIENCE = "/projects/123456789012/locations/europe-west1/services/mlflow"
AGENT = "serviceAccount:service-123456789012@gcp-sa-iap.iam.gserviceaccount.com"


def test_the_proxy_alone_may_call_the_service() -> None:
    service = resource("iap", addresses.SERVICE)
    assert (service["iap_enabled"], service["invoker_iam_disabled"]) == (True, False)
    (invoker,) = (one for one in resources("iap") if one.startswith("google_cloud_run_v2_service_iam_member."))
    assert invoker == addresses.IAP_INVOKER
    grant = resource("iap", invoker)
    assert (grant["role"], grant["member"]) == ("roles/run.invoker", AGENT)
    assert "count" not in grant


def test_the_container_checks_for_which_service_an_assertion_is_and_has_nothing_of_oauth2_proxy() -> None:
    found = variables("iap")
    assert found["IAP_AUDIENCE"]["value"] == AUDIENCE
    assert not [name for name in found if name.startswith("OAUTH")]
    assert found["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"]["value"]
    for word in ("oauth2_proxy", "cookie_secret", "oauth_client", "/secrets/oauth2-proxy"):
        assert word not in text("iap", "tracking"), word
    assert "variable" not in document("iap")


def test_people_domains_accounts_and_groups_pass_and_the_service_must_exist_first() -> None:
    grant = resource("iap", addresses.IAP_MEMBERS)
    assert grant["role"] == "roles/iap.httpsResourceAccessor"
    assert grant["cloud_run_service_name"] == addresses.SERVICE.ref("name")
    assert (grant["for_each"], grant["member"]) == ("${local.iap_members}", "${each.value}")
    for kind in ("user", "domain", "serviceAccount", "group"):
        assert f'"{kind}:${{lower(one)}}"' in document("iap")["locals"]["iap_members"]


def test_the_deployment_asks_for_a_provider_that_knows_the_proxy_and_others_keep_theirs() -> None:
    assert document("iap")["terraform"]["required_providers"]["google"]["version"] == versions.GOOGLE_WITH_IAP
    for environment in ("dev", "prod", "maximal"):
        assert "iap" not in json.dumps(document(environment))
        assert document(environment)["terraform"]["required_providers"]["google"]["version"] == "6.50.0"


def test_what_holds_data_is_the_same_behind_either_gate() -> None:
    behind_proxy, behind_iap = resources("prod"), resources("iap")
    of_a_gate = {name for name in behind_proxy.keys() ^ behind_iap.keys() if "google_" in name}
    assert of_a_gate == {
        addresses.OAUTH2_PROXY,
        addresses.version_of(addresses.OAUTH2_PROXY),
        addresses.accessor_of(addresses.OAUTH2_PROXY),
        addresses.PUBLIC_INVOKER,
        addresses.IAP_INVOKER,
        addresses.IAP_MEMBERS,
    }


def test_only_outputs_that_mean_something_are_there() -> None:
    outputs = document("iap")["output"]
    assert outputs.keys() == document("prod")["output"].keys() - {
        "client_environment",
        "curl",
        "python",
        "redirect_uri",
    }
    assert outputs["secret_ids"]["value"].keys() == {"backend_store_uri", "encryption_key"}
