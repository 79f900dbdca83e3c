"""Issues of map files, and how messages name and quote values."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

Severity = Literal["error", "warning"]
#: The path to a value in a document: member names and array positions.
Where = tuple[str | int, ...]

#: Longer values and paths are cut in messages, in characters.
_MAX_QUOTE = 80
_MAX_PATH = 1000


class Issue(Struct, frozen=True):
    """An error or warning about a map file.

    pointer: JSON pointer of the value. line, column: from 1; 0 where unknown.
    """

    file: str
    pointer: str
    message: str
    severity: Severity = "error"
    line: int = 0
    column: int = 0


class Verdict(Struct, frozen=True):
    """The result of validating a map file.

    page_id: empty where the path is invalid. digest: empty where the page has errors.
    size: upper bound of the page record's bytes. url: the page's path on its site; empty where the map has none.
    """

    file: str
    source_path: str
    page_id: str
    digest: str
    size: int
    issues: tuple[Issue, ...]
    url: str = ""

    @property
    def valid(self) -> bool:
        """Whether the page may be sent: it has no errors, at most warnings."""
        return all(issue.severity != "error" for issue in self.issues)


class Finding(NamedTuple):
    """An issue without its file. `where`: the path to the value."""

    where: Where
    message: str
    severity: Severity = "error"
    line: int = 0
    column: int = 0

    def of(self, file: str) -> Issue:
        """Return the finding as an issue of a file."""
        return Issue(file, pointer(self.where), self.message, self.severity, self.line, self.column)


def pointer(where: Where) -> str:
    """Return the JSON pointer (RFC 6901) of a value, printable and not too long."""
    return "".join("/" + printable(str(part)).replace("~", "~0").replace("/", "~1") for part in where)


def name(where: Where) -> str:
    """Return the name of a value as written in code: `above_fold_blocks[3].content`."""
    written = ""
    for part in where:
        if isinstance(part, str) and part.isidentifier():
            written += f".{printable(part)}"
        else:
            written += f"[{part if isinstance(part, int) else quote(part)}]"
    return written.removeprefix(".") or "the document"


def quote(text: str) -> str:
    """Return a text, cut if it is long, in quotes."""
    return f'"{printable(text, _MAX_QUOTE)}"'


def printable(text: str, limit: int = _MAX_PATH) -> str:
    r"""Return a text safe for terminals, logs and JSON: a lone surrogate becomes `\ud800`."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
