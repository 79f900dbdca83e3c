"""Redirects: from pages that only lead to another one, and from the `_redirects` file of static hosts. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.html.addresses import base_of, canonical_path, path_on_site
from nimbus_tasks.html.rules import REDIRECTS_TO
from nimbus_tasks.model.records import Redirect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: A project's record is read often: it holds no more of them.
MOST_REDIRECTS = 10_000
#: What a browser does with an address. Other statuses serve another page, or refuse this one.
STATUSES = (301, 302, 303, 307, 308)


def page_redirect(url: str, why_skipped: str, domain: str) -> Redirect | None:
    """Return where a page at `url` leads, given why it was skipped; None where it is no redirect."""
    if not why_skipped.startswith(REDIRECTS_TO):
        return None
    target = base_of(url, None).resolve(why_skipped.removeprefix(REDIRECTS_TO))
    return _redirect(url, target, 301, domain)


def read_redirects(text: str, domain: str) -> Iterator[Redirect]:
    """Yield the redirects of a `_redirects` file, as Netlify and Cloudflare Pages read it: `/from /to 301`.

    Lines with conditions, with placeholders such as `:year`, or that serve another page (200, 404) are left out.
    """
    for line in text.splitlines():
        parts = line.partition(" #")[0].split()
        if len(parts) not in (2, 3) or line.lstrip().startswith("#"):
            continue
        source, target, *more = parts
        status = (more[0] if more else "301").removesuffix("!")
        if status.isascii() and status.isdigit() and int(status) in STATUSES:
            found = _redirect(source, target, int(status), domain)
            if found is not None:
                yield found


def _redirect(source: str, target: str, status: int, domain: str) -> Redirect | None:
    beginning, star, rest = source.partition("*")
    path = path_on_site(beginning)
    if rest or not path or "/:" in path or "?" in source:
        return None
    here = canonical_path(target, domain)
    if here and "#" in target:
        here += f"#{target.partition('#')[2]}"
    if not here and target.startswith("/") and not target.startswith("//"):
        here = target  # with a query, say
    if not here and not target.lower().startswith(("https://", "http://")):
        return None
    if "/:" in (here or target).replace("/:splat", "" if star else "/:splat"):
        return None
    return None if here == path and not star else Redirect(f"{path}{star}", here or target, status)


def first_of_each(found: Iterable[Redirect]) -> list[Redirect]:
    """Return the redirects that count: of several from the same address, the first."""
    known: dict[str, Redirect] = {}
    for redirect in found:
        if len(known) < MOST_REDIRECTS:
            known.setdefault(redirect.source, redirect)
    return list(known.values())
