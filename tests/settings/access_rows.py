"""The rows of the section `access`."""

from typing import Final

from image.mlflow_cloudrun import accounts
from tests.settings.row import FLAG, ROTATION, Row, by_name, each

_ACCOUNT: Final = "trainer@acme-ml-dev.iam.gserviceaccount.com"
_POOL: Final = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/gh"
_SUBJECTS: Final = (
    "s",
    "auth0|5f7c8ec7c33c6c004bbafe82",
    "repo:acme/ml:ref:refs/heads/main",
    "CN=a, O=b c",
    "\u00fc" * 9,
)
_RESOURCES: Final = "cloudresourcemanager.googleapis.com"

ACCESS: Final[dict[str, Row]] = {
    "access.oauth_client_id": Row(
        good=(
            "123456-abcd.apps.googleusercontent.com",
            "123456.apps.googleusercontent.com",
            "1" * 24 + "-" + "a" * 64 + ".apps.googleusercontent.com",
        ),
        bad=(
            *("", "12345-abcd.apps.googleusercontent.com", "123456-abc.apps.googleusercontent.com", "123456-abcd"),
            *(
                "123456-.apps.googleusercontent.com",
                "123456-abcd.apps.googleusercontent.com.evil.example",
                "GOCSPX-abc",
            ),
            *accounts.PUBLIC_CLIENTS,
        ),
    ),
    "access.email_domains": Row(
        good=each("example.com", "ml.example.co.uk", "xn--mnchen-3ya.de", "acme-ml-dev.iam.gserviceaccount.com"),
        bad=each(
            *("*", "*.example.com", ".example.com", "example", "Example.com", "example.com.", "@example.com", "a@b.de"),
            *("gmail.com", "googlemail.com", "yahoo.co.uk", "hotmail.fr", "outlook.com", "live.nl", "gmx.de", "qq.com"),
            *("icloud.com", "proton.me", "web.de", "mail.ru", "yandex.com.tr", "gserviceaccount.com", "gma\u0456l.com"),
            *("developer.gserviceaccount.com", "appspot.gserviceaccount.com", "iam.gserviceaccount.com"),
            *("cloudbuild.gserviceaccount.com", "compute-system.iam.gserviceaccount.com"),
            *(
                "dataflow-service-producer-prod.iam.gserviceaccount.com",
                "gae-api-prod.google.com.iam.gserviceaccount.com",
            ),
            *(
                "gcp-sa-pubsub.iam.gserviceaccount.com",
                "example.com,gmail.com",
                "example.com\n",
                "example.com gmail.com",
            ),
            *("", "m\u00fcnchen.de", "exam_ple.com", "example.com\ngmail.com", "1.2.3.4", "a" * 64 + ".com"),
        ),
    ),
    "access.emails": Row(
        good=each("ada@example.com", "Ada.L+ml@gmail.com", "o'hara@example.com", "a" * 64 + "@example.com"),
        bad=each(
            *("", "ada", "*@example.com", "ada@*", "ada@example", "ada@Example.com", "a@b@example.com", "@example.com"),
            *("ada@example.com,eve@evil.example", "ada@example.com\neve@evil.example", "ada@example.com\n", _ACCOUNT),
            *("Ada <ada@example.com>", "ada @example.com", "\u0430da@example.com", "a" * 65 + "@example.com"),
        ),
    ),
    "access.service_accounts": Row(
        good=each(
            *(_ACCOUNT, "trainer@mlops.example.com.iam.gserviceaccount.com"),
            *("123-compute@developer.gserviceaccount.com", "acme-ml-dev@appspot.gserviceaccount.com"),
            *("123456789012@cloudbuild.gserviceaccount.com", "service-1@gcp-sa-pubsub.iam.gserviceaccount.com"),
        ),
        bad=each(
            *("", "trainer", "ada@example.com", "*@acme-ml-dev.iam.gserviceaccount.com", "@" + _ACCOUNT.split("@")[1]),
            *(f"serviceAccount:{_ACCOUNT}", f"{_ACCOUNT},{_ACCOUNT}", f"{_ACCOUNT}\n", f"{_ACCOUNT}.evil.example"),
            *("trainer@iam.gserviceaccount.com", "trainer@evil.example/x.iam.gserviceaccount.com", _ACCOUNT.upper()),
        ),
    ),
    "access.extra_audiences": Row(
        good=each("https://mlflow.example.com", "https://a.example:8443/x?y=z", "123456-abcd.apps.x", "a" * 512),
        bad=each(
            "", "*", "https://*.example.com", "a,b", "a b", "a\n", '"a"', "'a'", "${a}", "a%2C", "a" * 513, "\u00e9"
        ),
    ),
    "access.gcloud_tokens": FLAG,
    "access.adc_tokens": FLAG,
    "access.invoker_iam_disabled": FLAG,
    "access.artifact_writers": Row(
        good=by_name(
            *("user:ada@example.com", "group:data-science@example.com", f"serviceAccount:{_ACCOUNT}"),
            "serviceAccount:123456789012@cloudbuild.gserviceaccount.com",
            "serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com",
            "serviceAccount:acme-ml-prod.svc.id.goog[training/trainer]",
            "serviceAccount:example.com:acme.svc.id.goog[training/trainer.v2]",
            *(f"principal://{_POOL}/subject/{subject}" for subject in _SUBJECTS),
            f"principal://{_POOL}.svc.id.goog/subject/ns/training/sa/trainer",
            f"principal://{_POOL}.svc.id.goog/kubernetes.serviceaccount.uid/7d9c",
            *(f"principalSet://{_POOL}/{members}" for members in ("*", "group/g", "attribute.team_1/Data Science")),
            f"principalSet://{_POOL}.svc.id.goog/namespace/training",
            f"principalSet://{_POOL}.svc.id.goog/kubernetes.cluster/https://container.googleapis.com/v1/projects/p/locations"
            "/l/clusters/c",
            "principal://iam.googleapis.com/locations/global/workforcePools/staff/subject/ada@example.com",
            "principalSet://iam.googleapis.com/locations/global/workforcePools/staff/group/science@example.com",
            *(
                f"principalSet://{_RESOURCES}/{kind}"
                for kind in ("projects/1/type/ServiceAccount", "folders/2/type/ServiceAgent")
            ),
            f"principalSet://{_RESOURCES}/organizations/3/type/ServiceAccount",
        ),
        bad=by_name(
            *("", "allUsers", "allAuthenticatedUsers", "domain:example.com", "ada@example.com", "User:ada@example.com"),
            *(
                "user:*",
                "group:*@example.com",
                "user:Ada@example.com",
                "projectOwner:acme-ml-dev",
                "user:ada@example.com\n",
            ),
            *("serviceAccount:ada@example.com", "principalSet://goog/public:all", "deleted:user:ada@example.com?uid=1"),
            *("serviceAccount:t@iam.gserviceaccount.com", "user:t@acme-ml-prod.iam.gserviceaccount.com"),
            *(
                "group:t@gserviceaccount.com",
                "serviceAccount:acme.svc.id.goog[training]",
                "principal://iam.googleapis.com/x",
            ),
            *(f"principal://{_POOL}/*", f"principal://{_POOL}/subject/", f"principal://{_POOL}/subject/a\nb"),
            *(
                f"principalSet://{_POOL}/subject/s",
                f"principalSet://{_POOL}/attribute.a",
                f"principal://{_POOL}/subject/ a",
            ),
            *(
                f"principalSet://{_RESOURCES}/projects/acme/type/ServiceAccount",
                f"principalSet://{_RESOURCES}/projects/1",
            ),
            "principalSet://iam.googleapis.com/locations/global/workloadIdentityPools/p/*",
        ),
    ),
    "access.sign_in_rotation": ROTATION,
}
