"""What is wrong, where, and how that is said to a person."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

Severity = Literal["error", "warning"]
#: The way from the whole document to one value in it: member names and array positions.
Where = tuple[str | int, ...]

#: Longer values and longer paths are cut: a sentence with a megabyte in it helps nobody.
_LONGEST_QUOTE = 80
_LONGEST_PATH = 1000


class Issue(Struct, frozen=True):
    """One thing that is wrong with a map file. `line` and `column` count from 1; 0 where they say nothing."""

    file: str
    pointer: str
    message: str
    severity: Severity = "error"
    line: int = 0
    column: int = 0


class Verdict(Struct, frozen=True):
    """What is known of one map file. `size` is an upper bound of the bytes its page record will take."""

    file: str
    source_path: str
    page_id: str
    digest: str
    size: int
    issues: tuple[Issue, ...]

    @property
    def valid(self) -> bool:
        """Whether the page may be sent: warnings do not keep it back."""
        return all(issue.severity != "error" for issue in self.issues)


class Finding(NamedTuple):
    """An issue before it is known in which file."""

    where: Where
    message: str
    severity: Severity = "error"
    line: int = 0
    column: int = 0

    def of(self, file: str) -> Issue:
        """Return the same as an issue of that file."""
        return Issue(file, pointer(self.where), self.message, self.severity, self.line, self.column)


def pointer(where: Where) -> str:
    """Return the JSON pointer (RFC 6901) of a value; what no report could hold is escaped or cut."""
    return "".join("/" + printable(str(part)).replace("~", "~0").replace("/", "~1") for part in where)


def name(where: Where) -> str:
    """Return a value's name as one would write it in code: `above_fold_blocks[3].content`."""
    said = ""
    for part in where:
        if isinstance(part, str) and part.isidentifier():
            said += f".{printable(part)}"
        else:
            said += f"[{part if isinstance(part, int) else quote(part)}]"
    return said.removeprefix(".") or "the document"


def quote(text: str) -> str:
    """Return a value, or its beginning, in quotes."""
    return f'"{printable(text, _LONGEST_QUOTE)}"'


def printable(text: str, longest: int = _LONGEST_PATH) -> str:
    r"""Return text that any terminal, log and JSON report can hold: a lone surrogate becomes `\ud800`."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
