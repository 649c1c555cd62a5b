"""Rules between the settings of a network."""

from typing import Final

from stacks.settings.cross_rule import rule
from stacks.settings.language import Call, Setting, equal, text

_VPC, _SUBNET = Setting("network.vpc"), Setting("network.subnet")
_ADDRESS, _CA = Setting("network.database_address"), Setting("network.database_ca")
_SERVING = Setting("database.serving_instance")
_EGRESS: Final = "https://cloud.google.com/run/docs/configuring/vpc-direct-vpc"
_PRIVATE: Final = "https://cloud.google.com/sql/docs/postgres/configure-private-ip"
_FROM: Final = "from `gcloud sql instances describe"

NETWORK_RULES: Final = (
    rule(
        "network_is_whole",
        "network.subnet",
        equal(equal(_VPC, ""), equal(_SUBNET, "")),
        "a network is reached through a subnet of it",
        "set both network.vpc and network.subnet, or neither",
        _EGRESS,
    ),
    rule(
        "subnet_is_in_the_region",
        "network.subnet",
        equal(_SUBNET, "") | Call("has", _SUBNET, text("/regions/{region}/")),
        "service and jobs take addresses in their own region alone, which is {region}",
        "name a subnet of {region}, or leave out network.vpc and network.subnet",
        _EGRESS,
    ),
    rule(
        "address_has_a_network",
        "network.database_address",
        (equal(_ADDRESS, "") & equal(_CA, "")) | ~equal(_VPC, ""),
        "a private address and its authority are of a database in a network",
        "set network.vpc and network.subnet, or leave out network.database_address and network.database_ca",
        _PRIVATE,
    ),
    rule(
        "address_has_an_authority",
        "network.database_ca",
        equal(_ADDRESS, "") | ~equal(_CA, ""),
        "what answers at {network.database_address} must prove that it is the database",
        f"copy serverCaCert.cert {_FROM} INSTANCE` to network.database_ca",
        "https://cloud.google.com/sql/docs/postgres/configure-ssl-instance",
    ),
    rule(
        "serving_instance_has_an_address",
        "network.database_address",
        equal(_VPC, "") | equal(_SERVING, "") | ~equal(_ADDRESS, ""),
        "Terraform does not know the private address of {database.serving_instance}, which serves",
        f"copy it {_FROM} {{database.serving_instance}}` to network.database_address, and serverCaCert.cert to"
        " network.database_ca",
        _PRIVATE,
    ),
    rule(
        "existing_instance_has_an_address",
        "network.database_address",
        equal(_VPC, "") | ~equal(_ADDRESS, ""),
        "Terraform does not know the private address of {database.connection_name}",
        "set network.database_address and network.database_ca, such as from private_ip_address and server_ca_cert of"
        " the google_sql_database_instance",
        _PRIVATE,
    ),
)
