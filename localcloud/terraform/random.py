"""The ephemeral resources of hashicorp/random: values that no state and no plan ever holds.

Its schema is not in the bindings: https://github.com/hashicorp/terraform-provider-random/tree/main/docs. Left out: the
resources that keep their value in the state, and `bcrypt_hash`, which stays null.
"""

from __future__ import annotations

import base64
import secrets
import string
from typing import TYPE_CHECKING

from typing_extensions import override

from localcloud.terraform.model import Attribute, Block, Object, Problem, Refused, text
from localcloud.terraform.protocol import Provider, Schemas

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_CLASSES = {
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "numeric": string.digits,
    "special": _SPECIAL,
}
_LENGTH = Attribute(type="number", required=True)
_RESULT = Attribute(type="string", computed=True, sensitive=True)

_PASSWORD = Block(
    {
        "length": _LENGTH,
        "override_special": Attribute(type="string", optional=True),
        **{name: Attribute(type="bool", optional=True, computed=True) for name in _CLASSES},
        **{f"min_{name}": Attribute(type="number", optional=True, computed=True) for name in _CLASSES},
        "bcrypt_hash": _RESULT,
        "result": _RESULT,
    }
)
_BYTES = Block({"length": _LENGTH, "base64": _RESULT, "hex": _RESULT})


class RandomProvider(Provider):
    """Implements `localcloud.terraform.protocol.Provider` for hashicorp/random."""

    def schemas(self) -> Schemas:
        """Two ephemeral resources."""
        return Schemas(ephemerals={"random_password": _PASSWORD, "random_bytes": _BYTES})

    def configure(self, config: Object) -> None:
        """Nothing: the provider block has no settings."""

    def validate(self, type_name: str, config: Object) -> Sequence[Problem]:
        """The length must have room for what is asked for."""
        length = config.get("length")
        least = sum(value for name in _CLASSES if isinstance(value := config.get(f"min_{name}"), int))
        if type_name == "random_password" and isinstance(length, int) and length < max(1, least):
            return [Problem("length is too small", f"It must be at least {max(1, least)}.", ("length",))]
        return []

    def open(self, type_name: str, config: Object) -> Object:
        """Makes a value, another one at every call."""
        length = config.get("length")
        if not isinstance(length, int):
            raise Refused(Problem("length must be a whole number", path=("length",)))
        if type_name == "random_bytes":
            value = secrets.token_bytes(length)
            return {**config, "base64": base64.b64encode(value).decode(), "hex": value.hex()}
        settings = {name: config.get(name) is not False for name in _CLASSES}
        least: Object = {f"min_{name}": config.get(f"min_{name}") or 0 for name in _CLASSES}
        alphabets = {name: text(config, f"override_{name}") or letters for name, letters in _CLASSES.items()}
        return {**config, **settings, **least, "result": _password(length, settings, least, alphabets)}

    def upgrade(self, type_name: str, state: Object) -> Object:
        """No state of this provider's resources can be continued here."""
        del state
        raise Refused(_left_out(type_name))

    @override
    def read(self, type_name: str, state: Object) -> Object | None:
        return self.upgrade(type_name, state)

    @override
    def plan(
        self, type_name: str, prior: Object | None, proposed: Object | None, config: Object | None
    ) -> tuple[Object | None, list[str]]:
        del prior, proposed, config
        raise Refused(_left_out(type_name))

    @override
    def apply(
        self, type_name: str, prior: Object | None, planned: Object | None, config: Object | None
    ) -> tuple[Object | None, Refused | None]:
        del prior, planned, config
        raise Refused(_left_out(type_name))

    @override
    def import_(self, type_name: str, import_id: str) -> Object:
        del import_id
        raise Refused(_left_out(type_name))


def _password(length: int, settings: dict[str, bool], least: Object, alphabets: dict[str, str]) -> str:
    letters = [secrets.choice(alphabets[name]) for name in _CLASSES for _ in range(int(str(least[f"min_{name}"])))]
    everything = "".join(alphabets[name] for name, used in settings.items() if used)
    letters += [secrets.choice(everything) for _ in range(length - len(letters))]
    secrets.SystemRandom().shuffle(letters)
    return "".join(letters)


def _left_out(type_name: str) -> Problem:
    return Problem(f"{type_name} has no meaning in the local cloud", "Only random's ephemeral resources have one.")
