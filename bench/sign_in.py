"""Signs in as a browser does: redirects, the form, the session's cookie."""

import asyncio

from aiohttp import ClientSession, CookieJar
from yarl import URL


def first_page(url: str, email: str) -> str:
    """Opens a service that asks to sign in, and returns the page behind the form.

    Args:
        url: The service, on plain http://localhost.
        email: Who signs in.

    Raises:
        aiohttp.ClientResponseError: An answer was an error.
        RuntimeError: The service let nobody in, or anybody.
    """
    return asyncio.run(_first_page(URL(url), email))


async def _first_page(url: URL, email: str) -> str:
    # Secure cookies go over http to localhost, as in browsers.
    # https://w3c.github.io/webappsec-secure-contexts/#is-origin-trustworthy
    cookies = CookieJar(treat_as_secure_origin=url)
    async with ClientSession(cookie_jar=cookies, raise_for_status=True) as session:
        async with session.get(url) as form:
            if form.url.path != "/auth":
                raise RuntimeError(f"no form to sign in, but {form.url.path}")
        async with session.post(form.url, data={"email": email}) as page:
            text = await page.text()
            if page.url.origin() != url.origin() or "<title>MLflow</title>" not in text:
                raise RuntimeError(f"not MLflow's page, but {page.url.path} of {page.url.origin()}")
            return text
