"""A site made of pages that Nimbus Tasks published: each is read by its address, and gets a layout of its own.

    python read.py https://gateway.example.com site

Pages that did not change are not sent again: the answers' ETags are kept in `site/.etags.json`. With
`[content] access = "key"`, the environment variable NIMBUS_API_KEY holds a key
(`doit nimbus:key:create --name=reader --content`).
"""

import html
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

LAYOUT = """<!doctype html>
<html lang="{lang}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body {{ max-width: 40em; margin: auto; font-family: sans-serif }}</style>
<nav><a href="/">Home</a></nav>
{content}
"""
KEPT = {"h1", "h2", "h3", "h4", "h5", "h6", "p", "pre", "blockquote", "figcaption"}


def get(url: str, etag: str = "") -> tuple[str, str]:
    """Return the body and the ETag of an answer; an empty body where it is the one that we have."""
    key = os.environ.get("NIMBUS_API_KEY")
    headers = {"If-None-Match": etag} if etag else {}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return answer.read().decode(), answer.headers["ETag"]
    except urllib.error.HTTPError as error:
        if error.code == 304:
            return "", etag
        raise


def paths(gateway: str) -> list[str]:
    """Return the addresses of all pages, from the sitemap; a large site has a sitemap of sitemaps."""
    found, left = [], [f"{gateway}/sitemap.xml"]
    while left:
        root = ElementTree.fromstring(get(left.pop())[0])
        places = [place.text or "" for place in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
        if root.tag.endswith("sitemapindex"):
            left += places
        else:
            found += [urllib.parse.urlsplit(place).path.removeprefix("/content") for place in places]
    return sorted(found)


def render(extraction: dict) -> str:
    """Return a page in our layout. Other blocks than headings and texts become paragraphs."""
    blocks = extraction["above_fold_blocks"] + extraction["rest_of_page_blocks"]
    lines = []
    for block in blocks:
        text, tag = html.escape(block["content"]), block["type"]
        if tag == "img":
            lines.append(f"<p><em>[{text}]</em></p>")
        else:
            tag = tag if tag in KEPT else "p"
            lines.append(f"<{tag}>{text}</{tag}>")
    head = extraction["head"]
    return LAYOUT.format(
        lang=html.escape(head.get("lang", "en")), title=html.escape(head["title"]), content="\n".join(lines)
    )


def main(gateway: str, folder: str) -> None:
    site = Path(folder)
    site.mkdir(parents=True, exist_ok=True)
    known_file = site / ".etags.json"
    known = json.loads(known_file.read_text()) if known_file.exists() else {}
    etags, changed = {}, 0
    for path in paths(gateway):
        body, etags[path] = get(f"{gateway}/content{path}", known.get(path, ""))
        if body:
            name = urllib.parse.unquote(path).strip("/") + ("/index.html" if path.endswith("/") else "")
            file = site / name.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(render(json.loads(body)["extraction"]), encoding="utf-8")
            changed += 1
    known_file.write_text(json.dumps(etags))
    sys.stdout.write(f"{len(etags)} pages, {changed} changed\n")


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), sys.argv[2])
