"""Validation blocks, from the rules of the settings."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """A validation block."""

    condition: str
    error_message: str

    def block(self) -> dict[str, Any]:
        return {"condition": f"${{{self.condition}}}", "error_message": self.error_message}


def field_validations(path, info):
    return ()


def cross_validations(path):
    return ()
