"""Values as settings files have them."""

import json
from typing import Any


def value(of: Any) -> str:  # noqa: ANN401 - any value of a TOML file
    """A value in TOML; JSON's strings, numbers, booleans and lists are TOML's: https://toml.io/en/v1.0.0."""
    if isinstance(of, dict):
        pairs = ", ".join(f"{key} = {value(item)}" for key, item in of.items())  # pyright: ignore[reportUnknownVariableType]
        return f"{{ {pairs} }}" if pairs else "{}"
    return json.dumps(of)
