"""What a terminal or a log can show, and what the environment says of it. Pure: values in, answers out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def can_redraw(environment: Mapping[str, str]) -> bool:
    """Return whether a terminal can draw over what it shows."""
    return environment.get("TERM") != "dumb"


def wants_colour(environment: Mapping[str, str], *, redraws: bool) -> bool:
    """Return whether to colour: as the person says (no-color.org, force-color.org, CLICOLOR), else where it shows.

    NO_COLOR wins over all others. FORCE_COLOR and CLICOLOR_FORCE colour logs too; "0" is a no, as Node has it.
    """
    if environment.get("NO_COLOR"):
        return False
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        if value := environment.get(name):
            return value != "0"
    return redraws and environment.get("CLICOLOR") != "0"


def has_symbols(environment: Mapping[str, str], encoding: str) -> bool:
    """Return whether symbols such as a check mark can be shown; where not, words take their place."""
    return environment.get("TERM") != "dumb" and encoding.lower().replace("-", "") == "utf8"
