"""`gcloud run`: services.

https://cloud.google.com/sdk/gcloud/reference/run
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.commands.commands import Command, Unknown
from localcloud.services.run import Service
from localcloud.terraform.model import Object, Problem, Refused, text

if TYPE_CHECKING:
    from localcloud.commands.commands import Call

_INGRESS = {
    "all": "INGRESS_TRAFFIC_ALL",
    "internal": "INGRESS_TRAFFIC_INTERNAL_ONLY",
    "internal-and-cloud-load-balancing": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
}


def _update_service(call: Call) -> None:
    if call.options.ingress not in _INGRESS:
        raise Unknown(f"argument --ingress: {call.options.ingress!r} is none of {', '.join(_INGRESS)}")
    service = _service(call)
    # gcloud notes itself on what it changes.
    changed: Object = {**service, "ingress": _INGRESS[call.options.ingress], "client": "gcloud"}
    key = Service().key(service)
    call.cloud.store.put(Service.type, key, changed)
    call.cloud.store.mark_answered(Service.type, key)
    call.told.append(f"Service [{call.options.service}] has been deployed.")
    call.told.append(f"Service URL: {text(service, 'uri')}")


def _service(call: Call) -> Object:
    for service in call.cloud.store.all(Service.type):
        wanted = {"project": call.project, "location": call.region, "name": call.options.service}
        if wanted.items() <= service.items():
            return service
    message = f"Cannot find service [{call.options.service}] in region {call.region or '(none)'}."
    raise Refused(Problem(message, "Name its region: --region, or CLOUDSDK_RUN_REGION."))


COMMANDS = {"run services update": Command(run=_update_service, positional=["service"], required=["ingress"])}
