"""The rules between the settings of permissions."""

from typing import Final

from stacks.settings.cross_rule import rule
from stacks.settings.language import Call, Setting, equal, node, text
from stacks.settings.permissions import PERMISSIONS_URL

_ENABLED: Final = Setting("permissions.enabled")
_ADMINS: Final = Setting("permissions.admins")
_READERS: Final = Setting("permissions.readers")
_BOTH: Final = Call("common", _ADMINS, _READERS)

PERMISSION_RULES: Final = (
    rule(
        "permissions_have_an_admin",
        "permissions.admins",
        ~_ENABLED | (node(0) < Call("length", _ADMINS)),
        "somebody may do everything: what nobody owns, such as what was there before, is left to the admins",
        'write permissions.admins = ["ada@example.com"]',
        PERMISSIONS_URL,
    ),
    rule(
        "permissions_are_meant",
        "permissions.enabled",
        _ENABLED | equal(Call("length", _ADMINS) + Call("length", _READERS), 0),
        "admins and readers need permissions, without which everybody may do everything",
        "set permissions.enabled = true, or leave admins and readers out",
        PERMISSIONS_URL,
    ),
    rule(
        "nobody_is_admin_and_reader",
        "permissions.readers",
        equal(Call("length", _BOTH), 0),
        text(
            "an admin may change everything, and a reader nothing: {both} cannot be both",
            both=Call("join", ", ", _BOTH),
        ),
        "remove the address from one of the two lists",
        PERMISSIONS_URL,
    ),
)
