"""The `[encryption]` section: whose key encrypts what is at rest."""

from typing import Annotated

from pydantic import Field

from stacks.settings.field_rules import Pattern
from stacks.settings.section import Section


class Encryption(Section):
    """A key of your own (CMEK) for database, bucket, secrets, service and jobs, instead of Google's."""

    kms_key: Annotated[
        str,
        Pattern(
            regex=r"(projects/[a-z][a-z0-9-]{4,28}[a-z0-9]/locations/[a-z]+-[a-z]+[0-9]{1,2}"
            r"/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63})?",
            rule="a key is projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY, without a version",
            remedy="copy it from `gcloud kms keys list --keyring=RING --location=REGION`, or leave it out",
            url="https://cloud.google.com/kms/docs/getting-resource-ids",
        ),
    ] = Field(
        default="",
        description="Key in Cloud KMS, projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY, which the"
        " service agents of Cloud SQL, Cloud Storage, Secret Manager and Cloud Run may use. A database keeps the key"
        " that it began with.",
        examples=["projects/acme-keys/locations/europe-west1/keyRings/ml/cryptoKeys/mlflow"],
    )
