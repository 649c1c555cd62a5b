"""Prints what the image consists of, as CycloneDX 1.6: Debian, Python, the proxy (https://cyclonedx.org/docs/1.6/json/)."""

import json
import re
import subprocess
import sys
from importlib.metadata import distributions
from urllib.parse import quote

PROXY = "/usr/local/bin/oauth2-proxy"


def component(kind: str, name: str, version: str, **more: object) -> dict[str, object]:
    """Returns one component with its package URL (https://github.com/package-url/purl-spec)."""
    purl = f"pkg:{kind}/{quote(name, safe='/')}@{quote(version, safe='')}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, **more}


def run(*command: str) -> str:
    """Returns what the command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def components() -> list[dict[str, object]]:
    """Returns all that is installed, sorted by package URL."""
    found = [component("pypi", re.sub(r"[-_.]+", "-", d.name).lower(), d.version) for d in distributions()]
    listing = run("dpkg-query", "--show", "--showformat", "${Package} ${Version}\n")
    found += [component("deb", f"debian/{name}", version) for name, version in map(str.split, listing.splitlines())]
    version = run(PROXY, "--version").split()[1]
    found.append(component("golang", "github.com/oauth2-proxy/oauth2-proxy/v7", version))
    return sorted(found, key=lambda item: str(item["purl"]))


if __name__ == "__main__":
    json.dump({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components()}, sys.stdout)
