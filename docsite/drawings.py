"""Texts in DOT -> inline SVG, which follows the colours of the page and asks no network for anything."""

from __future__ import annotations

import json
import re
import subprocess
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCRIPT = Path(__file__).with_name("draw.mjs")
#: Known to Graphviz by its widths; on the page it is the font of the text around.
_FONT = "Arial"
_STYLE = f"""
  bgcolor=transparent nodesep=0.45 ranksep=0.45
  node [shape=box style=rounded fontname={_FONT} fontsize=13 height=0.4]
  edge [fontname={_FONT} fontsize=11 arrowsize=0.8]
"""
#: `id="node1"` would be there once for each drawing of a page, and comments may hold what ends one.
_LEFT_OUT = re.compile(r"<!--.*?-->|<title>.*?</title>|<a xlink:.*?>| id=\"[^\"]*\"| xml:space=\"preserve\"", re.DOTALL)


class DrawingError(Exception):
    """A drawing cannot be made."""


def draw(texts: Sequence[tuple[str, str]]) -> list[str]:
    """Return a figure of HTML for each text in DOT, which comes with a caption.

    Raises:
        DrawingError: node or its package is missing, or a text is not DOT.
    """
    if not texts:
        return []
    styled = [dot.replace("{", "{" + _STYLE, 1) for _, dot in texts]
    try:
        done = subprocess.run(
            ["node", str(_SCRIPT)],
            input=json.dumps(styled),
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise DrawingError("Drawings are made with node, and there is no `node` here.") from None
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "Error" in line), done.stderr)
        raise DrawingError(f"A drawing cannot be made: {said.strip()}. `make docs` installs what it needs.")
    return [_figure(caption, svg) for (caption, _), svg in zip(texts, json.loads(done.stdout), strict=True)]


def _figure(caption: str, svg: str) -> str:
    """Return the SVG without what stands outside of it, in the colour of the text around it."""
    drawn = _LEFT_OUT.sub("", svg[svg.index("<svg") :])
    drawn = drawn.replace('"black"', '"currentColor"').replace("<text ", '<text fill="currentColor" ')
    drawn = drawn.replace(f'font-family="{_FONT}"', 'font-family="inherit"')
    # Markdown ends a block of HTML at an empty line.
    drawn = "\n".join(line for line in drawn.splitlines() if line.strip())
    drawn = drawn.replace("<svg ", f'<svg role="img" aria-label="{escape(caption)}" ', 1)
    return f'<figure class="drawing">\n{drawn}\n<figcaption>{escape(caption)}</figcaption>\n</figure>'
