"""Text made safe and possible to show: escaped, in plain words, harmless to who reads along. Pure."""

from __future__ import annotations

#: symbol -> plain word, for terminals without UTF-8 or colour
SYMBOLS = {
    "📦": "*",
    "📁": "*",
    "⬆️ ": "*",
    "📄": "*",
    "🔎": "*",
    "📊": "*",
    "👀": "*",
    "⏳": "...",
    "✅": "ok",
    "❌": "FAILED",
    "⚠️ ": "warning:",
    "🗑️ ": "-",
    "·": "-",
    "→": "->",
    "…": "...",
    "—": "-",
}


def printable(text: str) -> str:
    """Return a text in which whatever would move the cursor is escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\ufe0f" else ascii(c)[1:-1] for c in text)


def plain(text: str, encoding: str) -> str:
    """Return a text with words for symbols, and escapes for what the encoding does not have."""
    for symbol, word in SYMBOLS.items():
        text = text.replace(symbol, word)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def defused(text: str) -> str:
    """Return a line that is no command to GitHub's runner.

    It obeys what begins with `::` (spaces before it do not count) and whatever holds `##[`: words from a page or a
    path must not set an output or hide a line.
    """
    text = text.replace("##[", "## [")
    return text.replace("::", ": :", 1) if text.lstrip().startswith("::") else text
