"""Accounts that anybody can have: addresses in these domains, and tokens for these OAuth clients.

One list for the settings, the module's variables and the container's start. The expressions are in the common subset of
Python's `re` and Terraform's RE2, and match from end to end.
"""

_MAIL = (
    r"(gmail|googlemail|ymail|rocketmail|icloud|me|mac|aol|aim|protonmail|mail|email|msn|qq|163|126|sina|sohu|foxmail"
    r"|naver|zoho|zohomail|fastmail|hey|tutanota|tuta|mailinator|guerrillamail|yopmail|hushmail|rediffmail)\.com"
    r"|(yahoo|hotmail|outlook|live|gmx|yandex)\.((com?|or|ne)\.)?[a-z]{2,3}"
    r"|(proton|pm)\.me|(web|freenet|t-online|posteo)\.de|(mail|inbox|list|bk|ya|rambler)\.ru|(daum|hanmail|laposte)\.net"
    r"|(comcast|verizon|sbcglobal)\.net|(orange|free|wanadoo|sfr)\.fr|(libero|virgilio)\.it|(wp|o2|interia|onet)\.pl"
    r"|seznam\.cz|bluewin\.ch|mailbox\.org|tuta\.io|fastmail\.fm"
)
# Every customer has accounts in these: developer, appspot, cloudbuild and the like, and the projects of Google's own
# services: https://cloud.google.com/iam/docs/service-agents
_ACCOUNTS = (
    r"([a-z0-9-]+\.)?gserviceaccount\.com"
    r"|(gcp-sa-[a-z0-9-]+|([a-z0-9-]+\.)?google\.com|bigquery-data-connectors|bigquery-encryption|cloud-cdn-fill|cloud-filer"
    r"|cloud-memcache-sa|cloud-redis|cloud-tpu|cloudcomposer-accounts|composer-accounts|compute-system|container-analysis"
    r"|container-engine-robot|containerregistry|crashlytics-bigquery-prod|dataflow-service-producer-prod|dataproc-accounts"
    r"|dlp-api|endpoints-portal|firebase-rules|firebase-sa-management|gcf-admin-robot|gs-project-accounts"
    r"|remotebuildexecution|security-center-api|serverless-robot-prod|service-networking|sourcerepo-service-accounts"
    r"|storage-transfer-service|trifacta-gcloud-prod)\.iam\.gserviceaccount\.com"
)
SHARED_DOMAIN = rf"{_MAIL}|{_ACCOUNTS}"
"""A domain that admits strangers: a public mail provider, or where service accounts of every customer are."""

GCLOUD_CLIENT = "32555940559.apps.googleusercontent.com"
"""The audience of `gcloud auth print-identity-token`; people cannot choose another:
https://cloud.google.com/sdk/gcloud/reference/auth/print-identity-token"""

ADC_CLIENT = "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com"
"""The audience of a person's application-default credentials; people cannot choose another:
https://cloud.google.com/docs/authentication/get-id-token"""

PLAYGROUND_CLIENT = "407408718192.apps.googleusercontent.com"
"""The audience of https://developers.google.com/oauthplayground, which no program needs."""

PUBLIC_CLIENTS = (GCLOUD_CLIENT, ADC_CLIENT, PLAYGROUND_CLIENT)
"""OAuth clients of Google's own tools: any Google account gets an identity token for them."""
