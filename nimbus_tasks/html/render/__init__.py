"""Render a page from its record alone: a map or an `extraction` in, readable Markdown or HTML out. Pure.

`tree.py` reads the record leniently and puts its blocks back into lists, tables and quotations; `markup.py` does the
same for the links and marks in a text; `page_html.py` and `markdown.py` write both.
"""

from __future__ import annotations

from nimbus_tasks.html.render.markdown import to_markdown
from nimbus_tasks.html.render.page_html import to_html

__all__ = ["to_html", "to_markdown"]
