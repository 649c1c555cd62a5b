"""Signs in as a browser does: redirects, the form, the session's cookie."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import ClientSession, CookieJar
from yarl import URL


def first_page(url: str, email: str, *, agent: str = "") -> str:
    """Opens a service that asks to sign in, and returns the page behind the form.

    Args:
        url: The service, on plain http://localhost.
        email: Who signs in.
        agent: What the browser calls itself.

    Raises:
        aiohttp.ClientResponseError: An answer was an error.
        RuntimeError: The service let nobody in, or anybody.
    """

    async def page() -> str:
        async with _signed_in(URL(url), email, agent) as (_, text):
            return text

    return asyncio.run(page())


def session_cookies(url: str, email: str) -> dict[str, str]:
    """Signs in, and returns the cookies that the service then has set.

    Args:
        url: As of `first_page`.
        email: Who signs in.

    Raises:
        aiohttp.ClientResponseError: As of `first_page`.
        RuntimeError: As of `first_page`.
    """

    async def cookies() -> dict[str, str]:
        async with _signed_in(URL(url), email, "") as (session, _):
            return {name: cookie.value for name, cookie in session.cookie_jar.filter_cookies(URL(url)).items()}

    return asyncio.run(cookies())


@asynccontextmanager
async def _signed_in(url: URL, email: str, agent: str) -> AsyncGenerator[tuple[ClientSession, str]]:
    # Secure cookies go over http to localhost, as in browsers.
    # https://w3c.github.io/webappsec-secure-contexts/#is-origin-trustworthy
    cookies = CookieJar(treat_as_secure_origin=url)
    headers = {"User-Agent": agent} if agent else {}
    async with ClientSession(cookie_jar=cookies, headers=headers, raise_for_status=True) as session:
        async with session.get(url) as form:
            if form.url.path != "/auth":
                raise RuntimeError(f"no form to sign in, but {form.url.path}")
        async with session.post(form.url, data={"email": email}) as page:
            text = await page.text()
            if page.url.origin() != url.origin() or "<title>MLflow</title>" not in text:
                raise RuntimeError(f"not MLflow's page, but {page.url.path} of {page.url.origin()}")
        yield session, text
