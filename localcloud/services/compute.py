"""Compute Engine, as far as an external application load balancer before a Cloud Run service needs it.

What private addresses need is in networks.py. What names what is held: nothing is made before what it names, and
nothing goes while something names it. Left out: the traffic (no request passes a load balancer here, no limit is
counted, no certificate issued), regional and internal load balancers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from localcloud.resource import Api, Cloud, Resource, crud, name_problem, now, stable_number
from localcloud.terraform.model import UNKNOWN, Object, Problem, Refused, Value, objects, strings, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localcloud.resource import ApiDefault

_API = Api("compute.googleapis.com", "Compute Engine API")
_LINK = "https://www.googleapis.com/compute/v1/"
_ARMOR = "https://cloud.google.com/armor/docs/rate-limiting-overview"
_DEFAULT_RULE = 2_147_483_647
PEERING = "VPC_PEERING"
_LIMITS = {"rate_based_ban", "throttle"}


class Part(Resource):
    """A part of a load balancer, or of a network.

    Attributes:
        number: The computed attribute with the number that Google gives it; "" for none.
    """

    api = _API
    number: ClassVar[str] = ""
    requires_replace: ClassVar[frozenset[str]] = frozenset({"name", "project"})

    @override
    def validate(self, config: Object) -> Iterator[Problem]:
        yield from name_problem(
            config,
            "name",
            r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
            "At most 63 lower-case letters, digits and hyphens, a letter first, no hyphen last: "
            "https://cloud.google.com/compute/docs/naming-resources",
        )

    def named(self, values: Object) -> Iterator[str]:
        """The ids, or links, of the parts that this one names."""
        del values
        yield from ()

    @override
    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        del config
        for name in map(id_of, self.named(planned)):
            if name and not any(cloud.store.get(part.type, name) for part in _parts()):
                raise Refused(
                    Problem(
                        f"googleapi: Error 404: The resource '{name}' was not found, notFound",
                        "Refer to its id or name.",
                    )
                )

    @override
    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        del cloud, config
        name = self.identify(planned)
        computed: Object = {"self_link": f"{_LINK}{name}"}
        if "creation_timestamp" in planned:
            computed["creation_timestamp"] = now()
        for attribute in {"fingerprint", "label_fingerprint"} & planned.keys():
            computed[attribute] = stable_number(name, digits=12)
        return computed | ({self.number: int(stable_number(name, digits=18))} if self.number else {})

    @override
    def delete(self, cloud: Cloud, values: Object) -> None:
        name = self.identify(values)
        for part in _parts():
            for other in cloud.store.all(part.type):
                if name in map(id_of, part().named(other)):
                    raise Refused(
                        Problem(
                            f"googleapi: Error 400: The resource '{name}' is already being used by "
                            f"'{text(other, 'id')}', resourceInUseByAnotherResource",
                            "What replaces it must be made and named first: create_before_destroy, and another name.",
                        )
                    )


class Global(Part):
    """A part that is in no region, but in a collection of its project."""

    def __init_subclass__(cls, *, collection: str) -> None:
        super().__init_subclass__()
        cls.id_format = f"projects/{{project}}/global/{collection}/{{name}}"
        cls.imports = (cls.id_format, "{project}/{name}", "{name}")


class Address(Global, collection="addresses"):
    """An address for the whole world, or a range in a network for services of Google."""

    type = "google_compute_global_address"
    permissions = crud("compute.globalAddresses")
    requires_replace = frozenset({"address", "address_type", "ip_version", "name", "network", "project", "purpose"})
    defaults: ClassVar[Mapping[str, Value]] = {"address_type": "EXTERNAL"}
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        # 203.0.113.0/24 is for documentation.
        "address": lambda address: (
            f"10.{int(stable_number(text(address, 'name'), digits=2))}.0.0"
            if text(address, "purpose") == PEERING
            else f"203.0.113.{int(stable_number(text(address, 'name'), digits=2))}"
        ),
        "prefix_length": 0,
    }

    @override
    def named(self, values: Object) -> Iterator[str]:
        yield text(values, "network")

    @override
    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        return {**super().create(cloud, planned, config), "label_fingerprint": "42WmSpB8rSM="}


class EndpointGroup(Part):
    """A serverless network endpoint group, which represents a Cloud Run service."""

    type = "google_compute_region_network_endpoint_group"
    permissions = crud("compute.regionNetworkEndpointGroups")
    id_format = "projects/{project}/regions/{region}/networkEndpointGroups/{name}"
    requires_replace = frozenset({"cloud_run", "name", "network_endpoint_type", "project", "region"})
    defaults: ClassVar[Mapping[str, Value]] = {"network_endpoint_type": "SERVERLESS"}
    imports = (id_format, "{project}/{region}/{name}", "{region}/{name}")


class SecurityPolicy(Global, collection="securityPolicies"):
    """The rules that a request must pass before it reaches a backend."""

    type = "google_compute_security_policy"
    permissions = crud("compute.securityPolicies")
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {"type": "CLOUD_ARMOR"}

    @override
    def validate(self, config: Object) -> Iterator[Problem]:
        yield from super().validate(config)
        rules = objects(config, "rule")
        priorities = [priority for rule in rules if (priority := rule.get("priority")) is not UNKNOWN]
        if len(priorities) == len(rules) > 0 and _DEFAULT_RULE not in priorities:
            yield Problem("there is no default rule", f"Add one of priority {_DEFAULT_RULE}. {_ARMOR}", ("rule",))
        if len({*map(str, priorities)}) < len(priorities):
            yield Problem("two rules have one priority", f"Each has its own. {_ARMOR}", ("rule",))
        for rule in rules:
            if (text(rule, "action") in _LIMITS) != bool(objects(rule, "rate_limit_options")):
                summary = f"a rule of action {text(rule, 'action')} and rate_limit_options do not fit"
                yield Problem(
                    summary, f"They belong to throttle and rate_based_ban, which need them. {_ARMOR}", ("rule",)
                )


class BackendService(Global, collection="backendServices"):
    """A backend, and the security policy in front of it."""

    type = "google_compute_backend_service"
    permissions = crud("compute.backendServices")
    requires_replace = frozenset({"load_balancing_scheme", "name", "project"})
    number = "generated_id"
    defaults: ClassVar[Mapping[str, Value]] = {
        "connection_draining_timeout_sec": 300,
        "load_balancing_scheme": "EXTERNAL",
        "backend.balancing_mode": "UTILIZATION",
        "backend.capacity_scaler": 1,
    }
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        "port_name": "http",
        "protocol": "HTTP",
        "session_affinity": "NONE",
        "timeout_sec": 30,
    }

    @override
    def named(self, values: Object) -> Iterator[str]:
        yield from (text(backend, "group") for backend in objects(values, "backend"))
        yield text(values, "security_policy")


class UrlMap(Global, collection="urlMaps"):
    """Which backend answers for which address, or where a request is sent instead."""

    type = "google_compute_url_map"
    permissions = crud("compute.urlMaps")
    number = "map_id"

    @override
    def named(self, values: Object) -> Iterator[str]:
        yield text(values, "default_service")
        yield from (text(matcher, "default_service") for matcher in objects(values, "path_matcher"))


class Certificate(Global, collection="sslCertificates"):
    """A certificate that Google makes and renews, when the domain's records lead to the load balancer."""

    type = "google_compute_managed_ssl_certificate"
    permissions = crud("compute.sslCertificates")
    requires_replace = frozenset({"description", "managed", "name", "project", "type"})
    number = "certificate_id"
    defaults: ClassVar[Mapping[str, Value]] = {"type": "MANAGED"}

    @override
    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        names: list[Value] = [*strings(planned, "managed", 0, "domains")]
        made = super().create(cloud, planned, config)
        return {**made, "expire_time": "", "subject_alternative_names": names}


class HttpProxy(Global, collection="targetHttpProxies"):
    """Where requests without TLS end."""

    type = "google_compute_target_http_proxy"
    permissions = crud("compute.targetHttpProxies")
    number = "proxy_id"
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {"proxy_bind": False}

    @override
    def named(self, values: Object) -> Iterator[str]:
        yield text(values, "url_map")


class HttpsProxy(HttpProxy, collection="targetHttpsProxies"):
    """Where TLS ends, with its certificates."""

    type = "google_compute_target_https_proxy"
    permissions = crud("compute.targetHttpsProxies")
    defaults: ClassVar[Mapping[str, Value]] = {"quic_override": "NONE"}
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {"proxy_bind": False, "tls_early_data": "DISABLED"}

    @override
    def named(self, values: Object) -> Iterator[str]:
        yield from super().named(values)
        yield from strings(values, "ssl_certificates")


class ForwardingRule(Global, collection="forwardingRules"):
    """An address, a port, and the proxy that takes what arrives there."""

    type = "google_compute_global_forwarding_rule"
    permissions = crud("compute.globalForwardingRules")
    requires_replace = frozenset({"ip_address", "load_balancing_scheme", "name", "port_range", "project"})
    number = "forwarding_rule_id"
    defaults: ClassVar[Mapping[str, Value]] = {"load_balancing_scheme": "EXTERNAL"}
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        "ip_address": "203.0.113.9",
        "ip_protocol": "TCP",
        "network": "",
        "network_tier": "PREMIUM",
        "subnetwork": "",
    }

    @override
    def named(self, values: Object) -> Iterator[str]:
        yield text(values, "target")
        address = text(values, "ip_address")
        yield address if "/" in address else ""

    @override
    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        unused = dict.fromkeys(("base_forwarding_rule", "psc_connection_id", "psc_connection_status"), "")
        made = super().create(cloud, planned, config)
        return {**made, **unused, "label_fingerprint": "42WmSpB8rSM="}


def _parts(kind: type[Part] = Part) -> Iterator[type[Part]]:
    """The types of all parts."""
    for one in kind.__subclasses__():
        if hasattr(one, "type"):
            yield one
        yield from _parts(one)


def id_of(name: str) -> str:
    """The id of what an id or a link names."""
    return name.removeprefix(_LINK)
