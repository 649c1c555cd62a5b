"""VPC networks and what gives a managed service an address in one: https://cloud.google.com/vpc/docs/private-services-access.

An instance in a network needs a connection of the network to Google's, with ranges from which Cloud SQL takes 256
addresses for each region and engine. Left out: firewalls, routes, Shared VPC's grants, connectors, Private Service
Connect, and the hour or two for which Google still holds a subnet that Cloud Run has used.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from typing_extensions import override

from localcloud.resource import Api, Cloud, Resource, crud
from localcloud.services import compute
from localcloud.services.sql_keys import instance_key
from localcloud.terraform.model import Object, Problem, Refused, Value, at, objects, strings, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localcloud.resource import ApiDefault

_API = Api("servicenetworking.googleapis.com", "Service Networking API")
_BLOCK = 24
_REQUIREMENTS = "https://cloud.google.com/sql/docs/mysql/private-ip#network_requirements"
_RUN = ("google_cloud_run_v2_job", "google_cloud_run_v2_service")


class Network(compute.Global, collection="networks"):
    """A network."""

    type = "google_compute_network"
    permissions = crud("compute.networks")
    requires_replace = frozenset({"auto_create_subnetworks", "description", "name", "project"})
    defaults: ClassVar[Mapping[str, Value]] = {
        "auto_create_subnetworks": True,
        "delete_default_routes_on_create": False,
        "network_firewall_policy_enforcement_order": "AFTER_CLASSIC_FIREWALL",
    }
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        "bgp_always_compare_med": False,
        "bgp_best_path_selection_mode": "LEGACY",
        "bgp_inter_region_cost": "",
        "internal_ipv6_range": "",
        "mtu": 0,
        "routing_mode": "REGIONAL",
    }

    @override
    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        number = int(compute.stable_number(self.identify(planned), digits=18))
        return {
            **super().create(cloud, planned, config),
            "gateway_ipv4": "",
            "network_id": str(number),
            "numeric_id": str(number),
        }

    @override
    def delete(self, cloud: Cloud, values: Object) -> None:
        super().delete(cloud, values)
        name = self.identify(values)
        if any(network_of(one) == name for one in cloud.store.all(Connection.type)):
            raise Refused(
                Problem(
                    f"googleapi: Error 400: The network resource '{name}' is already being used by "
                    f"'{name}/peerings/{_PEERING}', resourceInUseByAnotherResource",
                    "Terraform has let go of the connection, which Google keeps. When nothing uses it any more: gcloud "
                    f"compute networks peerings delete {_PEERING} --network={text(values, 'name')}",
                )
            )


class Subnetwork(compute.Part):
    """A range of addresses in a region, from which instances of Cloud Run take theirs."""

    type = "google_compute_subnetwork"
    permissions = crud("compute.subnetworks")
    id_format = "projects/{project}/regions/{region}/subnetworks/{name}"
    requires_replace = frozenset({"name", "network", "project", "region"})
    imports = (id_format, "{project}/{region}/{name}", "{region}/{name}")
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        "private_ip_google_access": False,
        "private_ipv6_google_access": "DISABLE_GOOGLE_ACCESS",
        "purpose": "PRIVATE",
        "stack_type": "IPV4_ONLY",
        "enable_flow_logs": False,
        "external_ipv6_prefix": "",
    }
    number = "subnetwork_id"

    @override
    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        network = IPv4Network(text(planned, "ip_cidr_range"), strict=False)
        none = dict.fromkeys(("internal_ipv6_prefix", "ipv6_cidr_range", "ipv6_gce_endpoint", "state"), "")
        return {**super().create(cloud, planned, config), **none, "gateway_address": str(network[1])}

    @override
    def named(self, values: Object) -> Iterator[str]:
        yield text(values, "network")

    @override
    def delete(self, cloud: Cloud, values: Object) -> None:
        super().delete(cloud, values)
        name = self.identify(values)
        for kind in _RUN:
            for user in cloud.store.all(kind):
                if any(compute.id_of(text(one, "subnetwork")) == name for one in interfaces(user)):
                    raise Refused(
                        Problem(
                            f"googleapi: Error 400: The subnetwork resource '{name}' is already being used by "
                            f"'{text(user, 'id')}', resourceInUseByAnotherResource",
                            "Destroy what uses it first; Google then holds it for another hour or two. "
                            "https://cloud.google.com/run/docs/configuring/vpc-direct-vpc#delete-subnet",
                        )
                    )


_PEERING = "servicenetworking-googleapis-com"


class Connection(Resource):
    """The peering of a network with the one in which Google runs its services."""

    type = "google_service_networking_connection"
    api = _API
    permissions: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "create": ("servicenetworking.services.addPeering",),
        "update": ("servicenetworking.services.addPeering",),
        "delete": ("servicenetworking.services.deleteConnection",),
        "read": ("servicenetworking.services.get",),
    }
    requires_replace = frozenset({"network", "service"})

    @override
    def identify(self, values: Object) -> str:
        return ":".join(quote(text(values, part), safe="") for part in ("network", "service"))

    @override
    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        del config
        if not cloud.store.get(Network.type, network_of(planned)):
            raise Refused(
                Problem(f"googleapi: Error 404: The resource '{network_of(planned)}' was not found, notFound")
            )
        known = {text(one, "name") for one in _ranges(cloud, network_of(planned))}
        for name in strings(planned, "reserved_peering_ranges"):
            if name not in known:
                raise Refused(Problem(f"googleapi: Error 400: Cannot find the allocated range {name}., badRequest"))

    @override
    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        del cloud, planned, config
        return {"peering": _PEERING}

    @override
    def delete(self, cloud: Cloud, values: Object) -> None:
        if servers(cloud, network_of(values)):
            raise Refused(
                Problem(
                    "Unable to remove Service Networking Connection, err: Error waiting for Delete Service Networking "
                    "Connection: Error code 9, message: Failed to delete connection; Producer services (e.g. CloudSQL, "
                    "Cloud Memstore, etc.) are still using this connection.",
                    'With deletion_policy = "ABANDON" Terraform lets go of it. '
                    "https://github.com/hashicorp/terraform-provider-google/issues/19908",
                )
            )

    @override
    def abandons(self, values: Object) -> bool:
        return text(values, "deletion_policy") == "ABANDON"


def network_of(values: Object) -> str:
    """`projects/PROJECT/global/networks/NAME` of what names a network in its attribute of that name."""
    return compute.id_of(text(values, "network"))


def private_network(instance: Object) -> str:
    """The same of a Cloud SQL instance; "" if it is in none."""
    return compute.id_of(text(instance, "settings", 0, "ip_configuration", 0, "private_network"))


def interfaces(template_owner: Object) -> list[Object]:
    """Where a Cloud Run service or job is in a network."""
    inner = at(template_owner, "template", 0, "template", 0) or at(template_owner, "template", 0)
    return objects(inner, "vpc_access", 0, "network_interfaces")


def require_subnet(cloud: Cloud, location: str, interface: Object) -> None:
    """Refuses a place in a network that Cloud Run cannot give to an instance; the words are ours.

    Args:
        cloud: where.
        location: the region of the service or job.
        interface: a block of network_interfaces.

    Raises:
        Refused: https://cloud.google.com/run/docs/configuring/vpc-direct-vpc
    """
    network, name = network_of(interface), compute.id_of(text(interface, "subnetwork"))
    subnet = cloud.store.get(Subnetwork.type, name)
    wrong = ""
    if not subnet:
        wrong = f"there is no subnet {name}"
    elif text(subnet, "region") != location:
        wrong = f"the subnet {name} is in {text(subnet, 'region')}, and what runs in {location}"
    elif network_of(subnet) != network:
        wrong = f"the subnet {name} is no part of the network {network}"
    if wrong:
        raise Refused(
            Problem(
                f"googleapi: Error 400: Violation in vpc_access.network_interfaces: {wrong}.",
                "Name a subnet of that network in the region of what runs. "
                "https://cloud.google.com/run/docs/configuring/vpc-direct-vpc",
            )
        )


def servers(cloud: Cloud, network: str) -> list[Object]:
    """The Cloud SQL instances in a network."""
    return [one for one in cloud.store.all("google_sql_database_instance") if private_network(one) == network]


def address(cloud: Cloud, instance: Object) -> str:
    """The address that an instance has in its network, or gets there; "" if it is in none.

    Raises:
        Refused: The network has no connection, or no range has room.
    """
    network = private_network(instance)
    if not network:
        return ""
    connections = [one for one in cloud.store.all(Connection.type) if network_of(one) == network]
    others = servers(cloud, network)
    own = next((one for one in others if instance_key(one) == instance_key(instance)), None)
    if own:
        return text(own, "private_ip_address")
    if not connections:
        raise Refused(
            Problem(
                "Error, failed to create instance because the network doesn't have at least 1 private services "
                f"connection. Please see {_REQUIREMENTS} for how to create this connection.",
                "Make a google_service_networking_connection for the network, applied before.",
            )
        )
    names = {name for one in connections for name in strings(one, "reserved_peering_ranges")}
    ranges = [one for one in _ranges(cloud, network) if text(one, "name") in names]
    taken = dict.fromkeys(map(_place, others))
    blocks = [block for one in ranges for block in _blocks(one)]
    place = _place(instance)
    number = [*taken].index(place) if place in taken else len(taken)
    if number >= len(blocks):
        raise Refused(
            Problem(
                "Error waiting for Create Instance: Failed to create subnetwork. Couldn't find free blocks in "
                "allocated IP ranges. Please allocate new ranges for this service provider.",
                "Cloud SQL takes 256 addresses for each region and engine: allocate a larger range, or a further one.",
            )
        )
    used = {text(one, "private_ip_address") for one in others}
    return next(host for host in map(str, list(blocks[number].hosts())[2:]) if host not in used)


def _ranges(cloud: Cloud, network: str) -> list[Object]:
    found = cloud.store.all(compute.Address.type)
    return [one for one in found if network_of(one) == network and text(one, "purpose") == compute.PEERING]


def _blocks(allocated: Object) -> list[IPv4Network]:
    length = allocated.get("prefix_length")
    if not isinstance(length, int | float) or length > _BLOCK:
        return []
    found = IPv4Network(f"{text(allocated, 'address')}/{int(length)}", strict=False)
    return list(found.subnets(new_prefix=_BLOCK))


def _place(instance: Object) -> tuple[str, str]:
    return text(instance, "region"), text(instance, "database_version").partition("_")[0]
