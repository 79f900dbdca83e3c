"""Are these rules such that pages can be read with them?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.html.extract.dimensions import compile_pattern
from nimbus_tasks.html.extract.parse import parse_page
from nimbus_tasks.html.extract.rules import RulesError

if TYPE_CHECKING:
    from nimbus_tasks.html.extract.rules import Rules


def check_rules(rules: Rules) -> None:
    """Raise RulesError for the first rule that no page can be read with."""
    if rules.fold < 0:
        raise RulesError(f"fold is {rules.fold}, and a height in pixels is 0 or more")
    for pattern in rules.patterns:
        compile_pattern(pattern)
    for setting, selector in rules.named_selectors():
        _check_selector(setting, selector)


def _check_selector(where: str, selector: str) -> None:
    try:
        parse_page(b"").select(selector)
    except ValueError as error:
        raise RulesError(f"{where}: {selector!r} is not a CSS selector ({error})") from None
