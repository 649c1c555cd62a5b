"""The rules between the settings of permissions."""

from typing import Final

from stacks.settings.cross_rule import rule
from stacks.settings.language import Call, Setting, equal, node, text
from stacks.settings.permissions import PERMISSIONS_URL

_ENABLED: Final = Setting("permissions.enabled")
_ADMINS: Final = Setting("permissions.admins")
_READERS: Final = Setting("permissions.readers")
_TEAMS: Final = Setting("permissions.teams")
_BOTH: Final = Call("common", _ADMINS, _READERS)
_READING_MEMBERS: Final = Call("common", Call("listed", _TEAMS), _READERS)

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
        _ENABLED | equal(Call("length", _ADMINS) + Call("length", _READERS) + Call("length", _TEAMS), 0),
        "admins, readers and teams need permissions, without which everybody may do everything",
        "set permissions.enabled = true, or leave admins, readers and teams out",
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
    rule(
        "nobody_is_reader_and_member",
        "permissions.teams",
        equal(Call("length", _READING_MEMBERS), 0),
        text(
            "a member of a team may change everything in its workspace, and a reader nothing: {both} cannot be both",
            both=Call("join", ", ", _READING_MEMBERS),
        ),
        "remove the address from readers, or from the team; admins need not be members",
        PERMISSIONS_URL,
    ),
)
