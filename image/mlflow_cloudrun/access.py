"""Admits by a domain only the accounts that the domain's own organization administers.

Anybody can make a private Google account on the address of a company, also somebody who has left it. Google's tokens
tell the difference: `hd` names the organization, and private accounts have none.
https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload

oauth2-proxy checks addresses only. It hands `hd` on as the person's one group (oidc_groups_claim), in a header of which
it drops a client's own.
"""

import json
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from mlflow_cloudrun.bodies import Stream
from mlflow_cloudrun.identity import address
from mlflow_cloudrun.logs import App, Message, Receive, Send
from mlflow_cloudrun.proxy_options import ACCESS_FILE
from mlflow_cloudrun.refusals import refuse

ORGANIZATION_HEADER = b"x-forwarded-groups"
SERVICE_ACCOUNTS = ".gserviceaccount.com"  # no organization; oauth2-proxy has found the project among the domains


@dataclass(frozen=True, slots=True)
class Access:
    """The domains and addresses that oauth2-proxy admits, in lower case."""

    domains: tuple[str, ...]
    emails: frozenset[str]

    @classmethod
    def of(cls, folder: Path) -> "Access":
        """Reads what proxy_options.py has written."""
        content = json.loads((folder / ACCESS_FILE).read_text(encoding="utf-8"))
        return cls(
            tuple(domain.lower() for domain in content["domains"]),
            frozenset(email.lower() for email in content["emails"]),
        )

    def covers(self, domain: str) -> bool:
        """Returns whether a domain is one of those, or below one that starts with a dot."""
        return any(domain == own or (own.startswith(".") and domain.endswith(own)) for own in self.domains)

    def refusal(self, email: str, organization: str) -> str | None:
        """Returns why a person does not get in whom oauth2-proxy has let in by the address; None if they do.

        A client can remove the headers by naming them in `Connection`: what is not there is a refusal.
        """
        email, organization = email.lower(), organization.lower()
        if not email:
            return "The request came without the address of who sent it: leave the Connection header out."
        domain = email.rpartition("@")[2]
        if email in self.emails or (self.covers(domain) and domain.endswith(SERVICE_ACCOUNTS)):
            return None
        if organization and self.covers(organization):
            return None
        found = f"of {organization}, which is not admitted here" if organization else "a private Google account"
        return (
            f"{email} is {found}. Addresses of an admitted domain get in with the account of the organization itself: "
            "sign out (/oauth2/sign_out) and use that one, or have this address added to access.emails by whoever "
            "runs this deployment."
        )


class OrganizationAccounts:
    """ASGI middleware: answers 403 with a sentence to who is not of an admitted organization."""

    def __init__(self, app: App, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes on what may pass, and start.sh's own probe, which comes around the proxy."""
        if scope["type"] != "http" or scope["path"] == "/health":
            await self.app(scope, receive, send)
            return
        organization = dict[bytes, bytes](scope["headers"]).get(ORGANIZATION_HEADER, b"").decode("latin-1")
        reason = self.access.refusal(address(scope["headers"]), organization)
        if reason is None:
            await self.app(scope, receive, send)
        else:
            await Stream(receive).drain()
            await refuse(send, HTTPStatus.FORBIDDEN, "PERMISSION_DENIED", reason)
