"""The `[access]` section: who gets in."""

from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field

from stacks.settings.database import Rotation
from stacks.settings.field_rules import Pattern
from stacks.settings.section import DOMAIN_REGEX, Section

_LOCAL_PART: Final = r"[A-Za-z0-9._%+'-]{1,64}"
# IAM keeps addresses in lower case: two spellings would be two resources for one grant.
_WRITER: Final = r"[a-z0-9._%+'-]{1,64}"
# A project's id may stand before its domain: NAME@PROJECT.example.com.iam.gserviceaccount.com.
_ACCOUNT: Final = r"[a-z0-9.-]{1,64}@([a-z0-9-]+(\.[a-z0-9-]+)*\.iam|developer|appspot)\.gserviceaccount\.com"
# Providers where anybody in the world can have an address.
_PUBLIC_MAIL: Final = (
    r"(gmail|googlemail|ymail|rocketmail|icloud|me|mac|aol|aim|protonmail|mail|email|msn|qq|163|126|sina|sohu|foxmail"
    r"|naver|zoho|zohomail|fastmail|hey|tutanota|tuta|mailinator|guerrillamail|yopmail|hushmail|rediffmail)\.com"
    r"|(yahoo|hotmail|outlook|live|gmx|yandex)\.((com?|or|ne)\.)?[a-z]{2,3}"
    r"|(proton|pm)\.me|(web|freenet|t-online|posteo)\.de|(mail|inbox|list|bk|ya|rambler)\.ru|(daum|hanmail|laposte)\.net"
    r"|(comcast|verizon|sbcglobal)\.net|(orange|free|wanadoo|sfr)\.fr|(libero|virgilio)\.it|(wp|o2|interia|onet)\.pl"
    r"|seznam\.cz|bluewin\.ch|mailbox\.org|tuta\.io|fastmail\.fm"
)
# developer and appspot hold accounts of every project, the gcp-sa- projects those of Google's own services.
_EVERYBODYS_ACCOUNTS: Final = r"([a-z0-9-]+\.)?gserviceaccount\.com|gcp-sa-[a-z0-9-]+\.iam\.gserviceaccount\.com"

OAuthClientId: TypeAlias = Annotated[
    str,
    AfterValidator(
        Pattern(
            regex=r"[0-9]{6,24}-[a-z0-9]{4,64}\.apps\.googleusercontent\.com",
            rule="an OAuth client id is NUMBER-LETTERS.apps.googleusercontent.com",
            hidden=True,
            remedy="copy the id (not the secret) of the Web application client from the console",
            url="https://support.google.com/cloud/answer/6158849",
        )
    ),
]
EmailDomain: TypeAlias = Annotated[
    str,
    AfterValidator(
        Pattern(
            regex=DOMAIN_REGEX,
            unless=rf"{_PUBLIC_MAIL}|{_EVERYBODYS_ACCOUNTS}",
            rule="an allowed domain is one that you own, in lower case: not *, not a public mail provider, not"
            " developer. or appspot.gserviceaccount.com, where anybody can have an account",
            remedy="name your own domain here, and single people in access.emails",
            url="https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#command-line-options",
        )
    ),
]
Email: TypeAlias = Annotated[
    str,
    AfterValidator(
        Pattern(
            regex=rf"{_LOCAL_PART}@{DOMAIN_REGEX}",
            unless=r".*[@.]gserviceaccount\.com",
            rule="an allowed address is one person's e-mail address, its domain in lower case",
            remedy="write it as name@example.com; service accounts go to access.service_accounts",
            url="https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#command-line-options",
        )
    ),
]
ServiceAccountEmail: TypeAlias = Annotated[
    str,
    AfterValidator(
        Pattern(
            regex=_ACCOUNT,
            rule="a service account is NAME@PROJECT.iam.gserviceaccount.com",
            remedy="copy it from `gcloud iam service-accounts list`",
            url="https://cloud.google.com/iam/docs/service-account-types",
        )
    ),
]
Audience: TypeAlias = Annotated[
    str,
    AfterValidator(
        Pattern(
            # The list is joined with commas.
            regex=r"[A-Za-z0-9._~:/?#@!&()+;=|-]{1,512}",
            rule="an audience is a URL or a client id: no space, comma, quote, *, $ or %",
            remedy="write what the token's aud claim holds",
            url="https://cloud.google.com/run/docs/configuring/custom-audiences",
        )
    ),
]
ArtifactWriter: TypeAlias = Annotated[
    str,
    AfterValidator(
        Pattern(
            regex=rf"(user|group):{_WRITER}@{DOMAIN_REGEX}|serviceAccount:{_ACCOUNT}"
            r"|principal(Set)?://iam\.googleapis\.com/[A-Za-z0-9._/:@=%+-]{1,400}",
            rule="a writer is user:EMAIL, group:EMAIL (in lower case), serviceAccount:EMAIL or a workload identity"
            " principal; never allUsers, allAuthenticatedUsers or a whole domain",
            remedy='write "group:data-science@example.com"',
            url="https://cloud.google.com/iam/docs/principal-identifiers",
        )
    ),
]


class Access(Section):
    """Who gets in, and who may write artifacts."""

    oauth_client_id: OAuthClientId = Field(
        description="Id of the OAuth client (Web application); its secret is the Terraform variable"
        " `oauth_client_secret`.",
        examples=["123456789012-abcdefghijklmnop.apps.googleusercontent.com"],
    )
    email_domains: list[EmailDomain] = Field(
        default_factory=list,
        description="Domains whose organization's own accounts get in: Google's `hd` must name one of them, so for a"
        " secondary domain list the organization's primary one, too. Private accounts on such an address, and people of"
        " an organization without Workspace or Cloud Identity, are named in `emails`. PROJECT.iam.gserviceaccount.com"
        " admits every service account of that project.",
        examples=[["example.com"]],
    )
    emails: list[Email] = Field(
        default_factory=list, description="Single people who get in.", examples=[["ada@example.org"]]
    )
    service_accounts: list[ServiceAccountEmail] = Field(
        default_factory=list,
        description="Single service accounts that get in.",
        examples=[["trainer@acme-ml-prod.iam.gserviceaccount.com"]],
    )
    extra_audiences: list[Audience] = Field(
        default_factory=list,
        description="Audiences of identity tokens that are accepted beside the service's URLs.",
        examples=[["https://mlflow.internal.example.com"]],
    )
    gcloud_tokens: bool = Field(
        default=True,
        description="Accept tokens of `gcloud auth print-identity-token`; any Google account can make one, so only the"
        " e-mail rules protect then.",
    )
    invoker_iam_disabled: bool = Field(
        default=True,
        description="Switch Cloud Run's invoker check off, so that a browser reaches the sign-in. With false `allUsers`"
        " is made an invoker instead, which organizations with domain-restricted sharing refuse.",
    )
    artifact_writers: list[ArtifactWriter] = Field(
        default_factory=list,
        description="IAM principals whose clients may write artifacts to the bucket.",
        examples=[["group:data-science@example.com"]],
    )
    sign_in_rotation: Rotation = Field(
        default=1,
        description="Raise it for a new cookie secret (everybody signs in again) and to apply a new"
        " `oauth_client_secret`.",
    )
