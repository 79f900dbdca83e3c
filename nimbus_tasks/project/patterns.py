"""Which paths the settings include: patterns as .gitignore has them, compared in bounded time."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Parts of the expressions that pathspec makes: `*` within a name, one character of a name (as it is, escaped, `?`, a
# set), and `**/` at the beginning and between names.
_STAR = r"\[\^/\]\*"
_CHARACTER = r"(?:\\.|\[[^]]*\](?!\*)|[^][(\\/])"
_NAMES = rf"((?:{_CHARACTER}|/|{_STAR})+)"
_BETWEEN = r"\(\?:/\.\+\)\?/"

_FIRST_FOLDERS = re.compile(rf"\(\?:\.\+/\)\?{_NAMES}(?={_BETWEEN})")
_FOLDERS = re.compile(rf"{_BETWEEN}{_NAMES}(?={_BETWEEN})")
_SET = re.compile(r"\\.|\[(\^?)([]-]?)([^]]*)\]")
_STARS = re.compile(rf"{_STAR}({_CHARACTER}+)(?={_STAR})")


def matcher(include: Sequence[str], exclude: Sequence[str] = ()) -> Callable[[str], bool]:
    """Return a test for paths: in `include` and not in `exclude`, both as .gitignore has patterns."""
    suffixes = tuple(pattern[4:] for pattern in include if _is_suffix(pattern))
    if len(suffixes) == len(include) and not exclude:
        # The default, without the 40 ms that importing pathspec takes: `**/*.html` is a suffix.
        return lambda path: path.endswith(suffixes)
    from pathspec import GitIgnoreSpec
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    class Pattern(GitIgnoreSpecPattern):
        @classmethod
        def pattern_to_regex(cls, pattern: str) -> tuple[str | None, bool | None]:  # type: ignore[override] # never bytes
            expression, includes = super().pattern_to_regex(pattern)
            return expression and without_backtracking(expression), includes

    included = GitIgnoreSpec.from_lines(include, Pattern, backend="simple")
    excluded = GitIgnoreSpec.from_lines(exclude, Pattern, backend="simple")
    return lambda path: included.match_file(path) and not excluded.match_file(path)


def without_backtracking(expression: str) -> str:
    """Return an expression of pathspec that matches the same paths, however many wildcards it has, in bounded time.

    Between two wildcards the first match will do: what follows it can absorb the rest. So each is tried once. As
    pathspec writes them, five `*` in one name take 94 seconds for a name of 250 letters.
    """
    once = _once()
    expression = _SET.sub(_without_slash, expression)
    expression = re.sub(rf"(?:{_STAR})+", "[^/]*", expression)
    expression = _FIRST_FOLDERS.sub(lambda match: once(rf"(?:.+?/)??{match[1]}(?=/)"), expression)
    expression = _FOLDERS.sub(lambda match: once(rf"(?:/.+?)??/{match[1]}(?=/)"), expression)
    return _STARS.sub(lambda match: once(rf"[^/]*?{match[1]}"), expression)


def _without_slash(match: re.Match[str]) -> str:
    """Have `[!a]` match no "/", as Git has it: it is a character of a name."""
    negated, first, others = match.groups()
    return f"[^{first}/{others}]" if negated and (first or others != "/") else match[0]


def _once() -> Callable[[str], str]:
    """Return a function that makes an expression match its first match only.

    An atomic group does that too, but before Python 3.11.5 it can end in the middle of a failed repetition.
    """
    numbers = itertools.count()

    def once(expression: str) -> str:
        name = f"once{next(numbers)}"
        return f"(?=(?P<{name}>{expression}))(?P={name})"

    return once


def _is_suffix(pattern: str) -> bool:
    return pattern.startswith("**/*.") and not any(c in pattern[4:] for c in "*?[]/!\\")
