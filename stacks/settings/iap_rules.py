"""The rules between the settings of the two gates."""

from typing import Final

from stacks.settings.cross_rule import CrossRule, rule
from stacks.settings.iap import IAP_URL
from stacks.settings.language import Call, Expression, Setting, equal

_ENABLED: Final = Setting("iap.enabled")
_PROGRAMS_URL: Final = "https://cloud.google.com/iap/docs/authentication-howto"


def _is_of_oauth2_proxy(field: str, left_out: Expression, why: str) -> CrossRule:
    return rule(
        f"iap_takes_no_{field}",
        "iap.enabled",
        ~_ENABLED | left_out,
        f"access.{field} is for oauth2-proxy, which does not run behind Identity-Aware Proxy: {why}",
        f"leave access.{field} out, or set iap.enabled = false",
        _PROGRAMS_URL,
    )


IAP_RULES: Final = (
    rule(
        "oauth2_proxy_has_a_client",
        "access.oauth_client_id",
        _ENABLED | ~equal(Setting("access.oauth_client_id"), ""),
        "oauth2-proxy signs people in by an OAuth client of your own",
        'write the client\'s id, such as "123456789012-abcdefghijklmnop.apps.googleusercontent.com", or set'
        " iap.enabled = true",
        "https://developers.google.com/identity/protocols/oauth2/web-server#creatingcred",
    ),
    _is_of_oauth2_proxy("oauth_client_id", equal(Setting("access.oauth_client_id"), ""), "Google has a client for it"),
    _is_of_oauth2_proxy(
        "extra_audiences",
        equal(Call("length", Setting("access.extra_audiences")), 0),
        "programs send a token that a service account has signed for the service's URL",
    ),
    _is_of_oauth2_proxy(
        "sign_in_rotation", equal(Setting("access.sign_in_rotation"), 1), "there is no secret to write again"
    ),
    rule(
        "iap_lets_in_accounts_by_name",
        "access.email_domains",
        ~_ENABLED | ~Call("has", Call("join", ",", Setting("access.email_domains")), ".gserviceaccount.com"),
        "Identity-Aware Proxy knows the domains of organizations, and no project's",
        "name the accounts in access.service_accounts",
        "https://cloud.google.com/iap/docs/managing-access",
    ),
    rule(
        "groups_take_iap",
        "iap.enabled",
        _ENABLED | equal(Call("length", Setting("iap.groups")), 0),
        "only Identity-Aware Proxy knows who is in a group",
        "set iap.enabled = true, or name people in access.emails",
        IAP_URL,
    ),
    rule(
        "iap_answers_uptime_checks_itself",
        "monitoring.uptime_check",
        ~(_ENABLED & Setting("monitoring.uptime_check")),
        "an uptime check has no identity that Identity-Aware Proxy lets in, which would answer in MLflow's place",
        "set monitoring.uptime_check = false; the alerts on errors and instances stay",
        IAP_URL,
    ),
)
