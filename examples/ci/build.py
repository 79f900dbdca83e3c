"""The site generator: put each page of pages/ between top.html and bottom.html, in dist/."""

from pathlib import Path

top, bottom = Path("top.html").read_text(), Path("bottom.html").read_text()
Path("dist").mkdir(exist_ok=True)
for page in Path("pages").glob("*.html"):
    Path("dist", page.name).write_text(top + page.read_text() + bottom)
