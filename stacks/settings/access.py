"""The `[access]` section: who gets in."""

import re
from typing import Annotated, Final, TypeAlias

from pydantic import Field

from image.mlflow_cloudrun import accounts
from stacks.settings.database import Rotation
from stacks.settings.field_rules import Pattern
from stacks.settings.section import DOMAIN_REGEX, EMAIL_REGEX, Section

# IAM keeps addresses in lower case: two spellings would be two resources for one grant.
_WRITER: Final = r"[a-z0-9._%+'-]{1,64}"
# NAME@PROJECT.iam, where a project's id may stand before its domain (NAME@PROJECT.example.com.iam), and those that
# Google makes: NUMBER-compute@developer, NUMBER@cloudbuild, service-NUMBER@gcp-sa-SERVICE.iam.
_ACCOUNT: Final = r"[a-z0-9.-]{1,64}@([a-z0-9-]+(\.[a-z0-9-]+)*\.iam|[a-z0-9-]+)\.gserviceaccount\.com"
_NO_ACCOUNT: Final = r"@iam\.gserviceaccount\.com"
_GKE_ACCOUNT: Final = r"[a-z][a-z0-9.:-]{4,98}[a-z0-9]\.svc\.id\.goog\[[a-z0-9-]{1,63}/[a-z0-9.-]{1,253}\]"
# Subjects, groups and attributes are what an identity provider says: any text.
_TEXT: Final = r"[^\x00-\x20\x7f]([^\x00-\x1f\x7f]{0,510}[^\x00-\x20\x7f])?"
_POOL: Final = (
    r"iam\.googleapis\.com/(projects/[0-9]{1,20}/locations/global/workloadIdentityPools|locations/global/workforcePools)"
    r"/[a-z0-9]([a-z0-9.:-]{0,98}[a-z0-9])?"
)
_ONE_OF_A_POOL: Final = rf"principal://{_POOL}/(subject|kubernetes\.serviceaccount\.uid)/{_TEXT}"
_SOME_OF_A_POOL: Final = (
    rf"principalSet://{_POOL}/(\*|(group|namespace|kubernetes\.cluster|attribute\.[a-z0-9_]{{1,100}})/{_TEXT})"
)
_ACCOUNTS_OF_A_RESOURCE: Final = (
    r"principalSet://cloudresourcemanager\.googleapis\.com/(projects|folders|organizations)/[0-9]{1,20}"
    r"/type/Service(Account|Agent)"
)

EmailDomain: TypeAlias = Annotated[
    str,
    Pattern(
        regex=DOMAIN_REGEX,
        unless=accounts.SHARED_DOMAIN,
        rule="an allowed domain is one that you own, in lower case: not *, not a public mail provider, and not one"
        " of Google's own gserviceaccount.com domains, where every customer has accounts",
        remedy="list your own domain here, and individual people in access.emails",
        url="https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#command-line-options",
    ),
]
Email: TypeAlias = Annotated[
    str,
    Pattern(
        regex=EMAIL_REGEX,
        unless=r".*[@.]gserviceaccount\.com",
        rule="an allowed address is one person's e-mail address, its domain in lower case",
        remedy="write it as name@example.com; list service accounts in access.service_accounts",
        url="https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#command-line-options",
    ),
]
ServiceAccountEmail: TypeAlias = Annotated[
    str,
    Pattern(
        regex=_ACCOUNT,
        unless=rf".*{_NO_ACCOUNT}",
        rule="a service account is NAME@PROJECT.iam.gserviceaccount.com",
        remedy="copy it from `gcloud iam service-accounts list`",
        url="https://cloud.google.com/iam/docs/service-account-types",
    ),
]
Audience: TypeAlias = Annotated[
    str,
    Pattern(
        # The list is joined with commas.
        regex=r"[A-Za-z0-9._~:/?#@!&()+;=|-]{1,512}",
        rule="an audience is a URL or a client id: no space, comma, quote, *, $ or %",
        remedy="write what the token's aud claim holds",
        url="https://cloud.google.com/run/docs/configuring/custom-audiences",
    ),
]
ArtifactWriter: TypeAlias = Annotated[
    str,
    Pattern(
        regex=rf"(user|group):{_WRITER}@{DOMAIN_REGEX}|serviceAccount:({_ACCOUNT}|{_GKE_ACCOUNT})"
        rf"|{_ONE_OF_A_POOL}|{_SOME_OF_A_POOL}|{_ACCOUNTS_OF_A_RESOURCE}",
        unless=rf"(user|group):.*[@.]gserviceaccount\.com|serviceAccount:.*{_NO_ACCOUNT}",
        rule="a writer is user:EMAIL, group:EMAIL (in lower case), serviceAccount:EMAIL, or a principal:// or"
        " principalSet:// of an identity pool or of a resource's service accounts; never allUsers,"
        " allAuthenticatedUsers or a whole domain",
        remedy='write data-science = "group:data-science@example.com"',
        url="https://cloud.google.com/iam/docs/principal-identifiers",
    ),
]

WriterKey: TypeAlias = Annotated[
    str,
    Pattern(
        regex=r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}",
        rule="a writer's key is a name of your choice, of letters, digits, . _ @ and -, which identifies the grant",
        remedy='write data-science = "group:data-science@example.com"',
        url="https://developer.hashicorp.com/terraform/language/meta-arguments/for_each",
    ),
]


class Access(Section):
    """Who gets in, and who may write artifacts."""

    oauth_client_id: Annotated[
        str,
        Pattern(
            regex=r"[0-9]{6,24}(-[a-z0-9]{4,64})?\.apps\.googleusercontent\.com",
            unless="|".join(re.escape(client) for client in accounts.PUBLIC_CLIENTS),
            rule="an OAuth client id is NUMBER-LETTERS.apps.googleusercontent.com (older ones have no LETTERS), and of"
            " a client of your own",
            hidden=True,
            remedy="copy the id (not the secret) of the Web application client from the console",
            url="https://support.google.com/cloud/answer/6158849",
        ),
    ] = Field(
        default="",
        description="Id of the OAuth client (Web application) of oauth2-proxy; its secret is the Terraform variable"
        " `oauth_client_secret`.",
        examples=["123456789012-abcdefghijklmnop.apps.googleusercontent.com"],
    )
    email_domains: list[EmailDomain] = Field(
        default_factory=list,
        description="Domains whose organization's own accounts get in: Google's `hd` must name one of them, so for a"
        " secondary domain list also the organization's primary one. List private accounts on such an address, and"
        " people of an organization without Workspace or Cloud Identity, in `emails`. PROJECT.iam.gserviceaccount.com"
        " admits every service account of that project.",
        examples=[["example.com"]],
    )
    emails: list[Email] = Field(
        default_factory=list, description="Addresses of people who get in.", examples=[["ada@example.org"]]
    )
    service_accounts: list[ServiceAccountEmail] = Field(
        default_factory=list,
        description="Service accounts that get in.",
        examples=[["trainer@acme-ml-prod.iam.gserviceaccount.com"]],
    )
    extra_audiences: list[Audience] = Field(
        default_factory=list,
        description="Audiences of identity tokens that are accepted in addition to the service's URLs.",
        examples=[["https://mlflow.internal.example.com"]],
    )
    gcloud_tokens: bool = Field(
        default=True,
        description="Accept tokens of `gcloud auth print-identity-token`; any Google account can get one, so only the"
        " e-mail rules protect then.",
    )
    adc_tokens: bool = Field(
        default=True,
        description="Accept tokens of people's application-default credentials (`gcloud auth application-default"
        " login`, notebooks), which the client package `mlflow-google` sends; any Google account can get one, so only"
        " the e-mail rules protect then.",
    )
    invoker_iam_disabled: bool = Field(
        default=True,
        description="Switch off Cloud Run's invoker check, so that a browser reaches the sign-in. With false,"
        " `allUsers` becomes an invoker instead, which organizations with domain-restricted sharing refuse. The value"
        " must be known at plan, because it decides whether there is a grant.",
    )
    artifact_writers: dict[WriterKey, ArtifactWriter] = Field(
        default_factory=dict,
        description="IAM principals whose clients may write artifacts to the bucket, each under a name of your choice.",
        examples=[{"data-science": "group:data-science@example.com"}],
    )
    sign_in_rotation: Rotation = Field(
        default=1,
        description="Raise it for a new cookie secret (everybody signs in again) and to apply a new"
        " `oauth_client_secret`.",
    )
