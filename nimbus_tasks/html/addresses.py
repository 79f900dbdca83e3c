"""Addresses: a page's own, and what the addresses in it point to.

A site is known by its paths, so an address on it becomes a path from its root: `/docs/a.html#b`. Others keep their
host.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_ORIGIN = re.compile(r"((?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/?#]*)(.*)", re.DOTALL)
_PLAIN = re.compile(r"[!#-;=?-_a-z~]*")
#: What no path of a source file has.
_NOT_BELOW = re.compile(r"//|\\|/\.{1,2}(?:/|$)")
_DROPPED = str.maketrans("", "", "\t\n\r")
#: Characters that an address may hold as they are.
_SAFE = "!#$%&'()+*,-./:;=?@[\\]^_~"
#: The same in the path of a page, which names a file.
_SAFE_IN_PATH = "!$&'()+*,-./:;=@_~"
#: Names that a server leaves out of an address.
INDEX = ("index.html", "index.htm")
_NOT_IN_PATH = re.compile(r"%(?:2f|5c|00)", re.IGNORECASE)


def url_of(source_path: str, folder: str) -> str:
    """Return the path of a page on its site: `/docs/` for `dist/docs/index.html`."""
    below = source_path.removeprefix(f"{folder}/") if folder not in ("", ".") else source_path
    return quote(_folded(f"/{below.removeprefix('/')}"), safe=_SAFE_IN_PATH, errors="replace")


def _folded(path: str) -> str:
    parent, _, name = path.rpartition("/")
    return f"{parent}/" if name in INDEX else path


def path_on_site(path: str) -> str:
    """Return a path as `url_of` writes it, however it is percent-encoded; empty where it names no page."""
    if not path.startswith("/") or _NOT_IN_PATH.search(path):
        return ""
    try:
        plain = unquote(without_dots(path) if "/." in path else path, errors="strict")
        return quote(_folded(plain), safe=_SAFE_IN_PATH) if _is_path(plain) else ""
    except UnicodeError:
        return ""  # not UTF-8


def _is_path(plain: str) -> bool:
    return not _NOT_BELOW.search(plain) and not any(character < " " or character == "\x7f" for character in plain)


def canonical_path(canonical: str, domain: str) -> str:
    """Return the path of a resolved canonical address on the site's own domain; empty for any other address."""
    if found := _ORIGIN.match(canonical):
        if not domain or found[1].rpartition("//")[2].lower() != host_of(domain):
            return ""
        canonical = found[2] or "/"
    # With a query it names something else than a file.
    return path_on_site(canonical.partition("#")[0]) if "?" not in canonical else ""


def host_of(domain: str) -> str:
    """Return the host of a domain as people write it in settings: `https://example.com/` too."""
    return domain.rpartition("//")[2].partition("/")[0].strip().lower()


class Base(NamedTuple):
    """What relative addresses begin with: `<base href>` where there is one, else the page's own address.

    origin: `https://example.org` where `<base>` names one. path: with its last part. query: with its question mark.
    """

    origin: str
    path: str
    query: str = ""

    def resolve(self, address: str) -> str:
        """Return where an address points to. Takes time linear in its length."""
        if not _PLAIN.fullmatch(address):
            address = address.strip(" \t\n\f\r").translate(_DROPPED)
            address = quote(address, safe=_SAFE, errors="replace")
        if (":" in address and _SCHEME.match(address)) or address.startswith("//"):
            return address
        if not address:
            return f"{self.origin}{self.path}{self.query}"
        first = address[0]
        if first == "#":
            return f"{self.origin}{self.path}{self.query}{address}"
        if first == "?":
            return f"{self.origin}{self.path}{address}"
        path = address if first == "/" else f"{self.path.rpartition('/')[0]}/{address}"
        return self.origin + (without_dots(path) if "/." in path else path)


def base_of(url: str, href: str | None) -> Base:
    """Return the base of a page at `url`, whose `<base>` has this `href`."""
    own = Base("", url)
    if not href:
        return own
    address = own.resolve(href).partition("#")[0]
    origin = ""
    if found := _ORIGIN.match(address):
        origin, address = found[1], found[2]
    elif _SCHEME.match(address):
        return own  # `data:` and the like are no base
    path, mark, query = address.partition("?")
    return Base(origin, path or "/", mark + query)


def without_dots(address: str) -> str:
    """Resolve `.` and `..` in the path of an address; those beyond the root are dropped."""
    path = address.partition("#")[0].partition("?")[0]
    parts: list[str] = []
    steps = path[1:].split("/")
    for step in steps:
        if step == "..":
            del parts[-1:]
        elif step != ".":
            parts.append(step)
    if steps[-1] in (".", ".."):
        parts.append("")
    return f"/{'/'.join(parts)}{address[len(path) :]}"


def origin_of(address: str) -> str:
    """Return the `https://host` with which an address begins, in small letters; empty without one."""
    found = _ORIGIN.match(address)
    return found[1].lower() if found else ""


def local_file(address: str, site: set[str], folder: str) -> str | None:
    """Return the source path of the file that a resolved address names, or None where that is not on this site.

    site: the origins of the site.
    """
    if found := _ORIGIN.match(address):
        if found[1].lower() not in site:
            return None
        address = found[2]
    path = unquote(re.split(r"[?#]", address, maxsplit=1)[0], errors="replace")
    if not path.startswith("/") or path.endswith("/") or not path.isprintable() or _NOT_BELOW.search(path):
        return None
    return f"{folder}{path}" if folder not in ("", ".") else path[1:]
