"""The `[network]` section: the VPC network in which the database has its address."""

from typing import Annotated

from pydantic import Field

from stacks.settings.field_rules import Pattern
from stacks.settings.section import Section

_PROJECT = r"projects/[a-z][a-z0-9-]{4,28}[a-z0-9]"
_NAME = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
_LINE = r"[A-Za-z0-9+/=]{1,76}\n"


class Network(Section):
    """A VPC network of yours, where the database has its only address; without one it is public, open to no network."""

    vpc: Annotated[
        str,
        Pattern(
            regex=rf"({_PROJECT}/global/networks/{_NAME})?",
            rule="a network is projects/PROJECT/global/networks/NAME",
            remedy="copy its id from `gcloud compute networks list --uri`, from projects/ on, or leave it out",
            url="https://cloud.google.com/vpc/docs/vpc",
        ),
    ] = Field(
        default="",
        description="Network of the database, projects/PROJECT/global/networks/NAME, which has a connection to"
        " servicenetworking.googleapis.com with a free range of 256 addresses (private services access).",
        examples=["projects/acme-ml-prod/global/networks/ml"],
    )
    subnet: Annotated[
        str,
        Pattern(
            regex=rf"({_PROJECT}/regions/[a-z]+-[a-z]+[0-9]{{1,2}}/subnetworks/{_NAME})?",
            rule="a subnet is projects/PROJECT/regions/REGION/subnetworks/NAME",
            remedy="copy its id from `gcloud compute networks subnets list --uri`, from projects/ on, or leave it out",
            url="https://cloud.google.com/vpc/docs/subnets",
        ),
    ] = Field(
        default="",
        description="Subnet of that network in the region, from which service and jobs take their addresses"
        " (Direct VPC egress): /26 or larger.",
        examples=["projects/acme-ml-prod/regions/europe-west1/subnetworks/mlflow"],
    )
    database_address: Annotated[
        str,
        Pattern(
            regex=r"([0-9]{1,3}(\.[0-9]{1,3}){3})?",
            rule="an address is four numbers with dots between them",
            remedy="copy it from `gcloud sql instances describe INSTANCE`, or leave it out",
            url="https://cloud.google.com/sql/docs/postgres/configure-private-ip",
        ),
    ] = Field(
        default="",
        description="Private address of an instance that Terraform does not make; by default that of its own.",
        examples=["10.27.0.3"],
    )
    database_ca: Annotated[
        str,
        Pattern(
            regex=rf"(-----BEGIN CERTIFICATE-----\n({_LINE})+-----END CERTIFICATE-----\n?)*",
            rule="the server's authority is one certificate in PEM, or several, with nothing between them",
            remedy="copy it from `gcloud sql instances describe INSTANCE --format='value(serverCaCert.cert)'`, or leave"
            " it out",
            url="https://cloud.google.com/sql/docs/postgres/configure-ssl-instance",
        ),
    ] = Field(
        default="",
        description="Certificates of which one issued the database's: for an instance that Terraform does not make, and"
        " for the time of a rotation; by default that of its own.",
        examples=["-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n"],
    )
