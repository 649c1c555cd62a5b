"""Settings as they hold: derived defaults where nothing was given, held against the rules between them."""

from collections.abc import Collection
from typing import Any, Final

from stacks.settings.cross_rules import CROSS_RULES
from stacks.settings.derived import DERIVED
from stacks.settings.functions import Silent
from stacks.settings.language import Read
from stacks.settings.model import Settings, field_names
from stacks.settings.problems import Problem

_PATHS: Final = {*field_names(), *DERIVED}


def completed(
    settings: Settings, *, given: Collection[str], unusable: Collection[str]
) -> tuple[Settings, Collection[str]]:
    """Fills in the derived defaults.

    Args:
        settings: Settings whose fields have their plain defaults.
        given: The paths at which something was given.
        unusable: Fields (`section.field`) and whole sections that have a problem.

    Returns:
        The settings, and what is unusable of them: what had a problem, and what would be derived from that.
    """
    read = _reader(settings, unusable)
    sections: dict[str, dict[str, Any]] = {}
    lost: set[str] = set()
    for path, default in DERIVED.items():
        section, _, field = path.partition(".")
        if section in Settings.model_fields and path not in given:
            try:
                sections.setdefault(section, {})[field] = default.evaluate(read)
            except Silent:
                lost.add(path)
    update = {name: getattr(settings, name).model_copy(update=values) for name, values in sections.items()}
    return settings.model_copy(update=update), {*unusable, *lost}


def broken_cross_rules(settings: Settings, *, unusable: Collection[str]) -> list[Problem]:
    """Holds settings against every rule.

    Args:
        settings: Completed settings; what stands in an unusable field does not matter.
        unusable: Fields (`section.field`) and whole sections that have a problem of their own.

    Returns:
        A problem for each rule that is broken; a rule that reads something unusable has nothing to say.
    """
    read = _reader(settings, unusable)
    return [problem for rule in CROSS_RULES if rule.reads() <= _PATHS and (problem := rule.problem(read))]


def _reader(settings: Settings, unusable: Collection[str]) -> Read:
    """Returns a reader of the effective value at each path; names of resources are derived, since files give none."""

    def read(path: str) -> Any:  # noqa: ANN401
        section, _, field = path.partition(".")
        if path in unusable or section in unusable:
            raise Silent
        if section not in Settings.model_fields:
            return DERIVED[path].evaluate(read)
        value = getattr(settings, section)
        return getattr(value, field) if field else value

    return read
