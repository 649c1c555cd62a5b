"""How the image learns where a local cloud's sign-in is, which Google's own is not."""

from typing import Final

UP_OPTIONS: Final = (
    "--env=OAUTH2_PROXY_LOGIN_URL={login_url}",
    "--env=OAUTH2_PROXY_REDEEM_URL={token_url}",
    "--env=OAUTH2_PROXY_OIDC_JWKS_URL={certs_url}",
    "--env=IAP_KEYS_URL={iap_keys_url}",
)
"""Options of `python -m localcloud up`."""
