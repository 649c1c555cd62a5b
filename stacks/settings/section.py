"""The base of all sections of a settings file."""

from typing import Final

from pydantic import BaseModel, ConfigDict

DOMAIN_REGEX: Final = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])"
"""A domain name with at least one dot, in lower case: https://www.rfc-editor.org/rfc/rfc1035#section-2.3.1"""

EMAIL_REGEX: Final = rf"[A-Za-z0-9._%+'-]{{1,64}}@{DOMAIN_REGEX}"
"""An e-mail address, its domain in lower case."""


class Section(BaseModel):
    """A table of the file: unknown keys are refused, and a string is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
