"""Where a token may go: to the tracking server that this program was pointed at, and nowhere else."""

from __future__ import annotations

import ipaddress
import os
import sys
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """Returns `scheme://host[:port]` in lower case, without the default port; empty for what is no web address."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), (parts.hostname or "").lower(), parts.port
    except ValueError:  # of a port or an address that is none
        return ""
    if scheme not in PORTS or not host:
        return ""
    host = f"[{host}]" if ":" in host else host
    port = port or PORTS[scheme]
    return f"{scheme}://{host}" if port == PORTS[scheme] else f"{scheme}://{host}:{port}"


def tracking_uri() -> str:
    """Returns where MLflow sends to, as the program or the environment says."""
    mlflow = sys.modules.get("mlflow")
    asked = getattr(mlflow, "get_tracking_uri", None)
    return (asked() if asked else "") or os.environ.get("MLFLOW_TRACKING_URI", "")


def is_private_to_this_machine(url: str) -> bool:
    """Returns whether what is sent there stays on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def may_have_token(url: str) -> bool:
    """Returns whether a request may carry a token: to the tracking server, by https, or by http within this machine."""
    if not origin(url) or origin(url) != origin(tracking_uri()):
        return False
    return urlsplit(url).scheme.lower() == "https" or is_private_to_this_machine(url)


def audience(url: str) -> str:
    """Returns the audience for a server: MLFLOW_GOOGLE_AUDIENCE, or the server's own address."""
    return os.environ.get("MLFLOW_GOOGLE_AUDIENCE") or origin(url)
