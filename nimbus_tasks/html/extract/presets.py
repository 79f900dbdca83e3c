"""What is known of the pages that common site generators write, as a table: only what the general way gets wrong."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from nimbus_tasks.html.rules import MADE

if TYPE_CHECKING:
    from turbohtml import Document, Element


class Preset(Struct, frozen=True):
    """A generator, or a theme of one.

    generator: a word in its `<meta name="generator">`; marker: a selector in the `<head>` of pages without.
    main: selectors of the main content, best first.
    ignore: selectors of what is no content.
    skip: ends of the paths of pages that it makes by itself: indexes, searches, errors.
    """

    name: str
    generator: str = ""
    marker: str = ""
    main: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def why_skipped(self, source_path: str) -> str:
        """Return why a page has no content of its own: the generator makes it. Empty for the others."""
        made = any(fnmatchcase(f"/{source_path}", f"*/{end}") for end in self.skip)
        return f"{self.name} {MADE}" if made else ""


_ERROR = ("404.html", "404/index.html")
_TAGS = ("tags/*", "categories/*")

#: Themes come before their generators.
PRESETS = (
    Preset(
        "MkDocs Material",
        generator="mkdocs-material",
        main=("article.md-content__inner",),
        ignore=(".headerlink", ".md-content__button", ".md-source-file", ".md-feedback", ".md-annotation__index"),
        skip=_ERROR,
    ),
    Preset(
        "MkDocs",
        generator="mkdocs",
        main=('[role="main"]',),
        ignore=(".headerlink", ".wy-breadcrumbs", ".rst-footer-buttons"),
        skip=(*_ERROR, "search.html"),
    ),
    Preset(
        "Sphinx",
        marker=(
            'script#documentation_options, script[src*="documentation_options.js"], script[src*="doctools.js"], '
            'link[href*="_static/pygments.css"]'
        ),
        main=(
            "article#furo-main-content",
            'div[itemprop="articleBody"]',
            "article.bd-article",
            'div.body[role="main"]',
            'article[role="main"]',
        ),
        ignore=(
            *(".headerlink", ".viewcode-link", ".viewcode-back", ".copybtn", ".edit-this-page", ".related-pages"),
            *(".wy-breadcrumbs", ".rst-footer-buttons", ".prev-next-area", ".back-to-top", ".skip-to-content"),
        ),
        skip=(
            *_ERROR,
            *("genindex.html", "genindex-*.html", "*-modindex.html", "search.html"),
            *("genindex/index.html", "*-modindex/index.html", "search/index.html"),
        ),
    ),
    Preset(
        "Docusaurus",
        generator="docusaurus",
        main=(".theme-doc-markdown",),
        ignore=(
            *(".hash-link", ".theme-edit-this-page", ".theme-doc-footer", ".theme-doc-breadcrumbs", ".pagination-nav"),
            *(".theme-doc-toc-mobile", ".theme-doc-toc-desktop", ".theme-doc-version-badge", ".skipToContent"),
        ),
        skip=(*_ERROR, "search.html", "search/index.html", *_TAGS),
    ),
    Preset(
        "VitePress",
        generator="vitepress",
        main=(".vp-doc",),
        ignore=(
            ".header-anchor",
            ".VPDocFooter",
            ".VPDocAside",
            ".VPLocalNav",
            ".VPSkipLink",
            "button.copy",
            "span.lang",
        ),
        skip=_ERROR,
    ),
    Preset(
        "Starlight",
        generator="starlight",
        ignore=(".right-sidebar-container", "mobile-starlight-toc", ".pagination-links", ".sl-anchor-link"),
        skip=_ERROR,
    ),
    Preset("Astro", generator="astro", skip=_ERROR),
    Preset(
        "Hugo",
        generator="hugo",
        ignore=(".td-page-meta", ".td-toc", ".book-toc", ".hextra-toc", ".heading-anchor", ".hanchor", ".edit-page"),
        skip=(*_ERROR, *_TAGS),
    ),
    Preset("DocBook", generator="docbook", ignore=(".navheader", ".navfooter")),
    Preset("Eleventy", generator="eleventy", ignore=(".header-anchor", ".direct-link"), skip=(*_ERROR, *_TAGS)),
    Preset("Jekyll", generator="jekyll", ignore=(".anchor-heading", ".anchorjs-link"), skip=(*_ERROR, *_TAGS)),
    Preset(
        "Hexo",
        generator="hexo",
        ignore=(".headerlink", ".post-nav", ".post-toc", ".post-toc-wrap"),
        skip=(*_ERROR, *_TAGS, "archives/*"),
    ),
    Preset(
        "WordPress",
        generator="wordpress",
        ignore=(
            *(".sharedaddy", ".jp-relatedposts", ".post-navigation", ".comment-respond", ".widget-area"),
            *(".comments-area", ".screen-reader-text"),
        ),
        skip=(*_ERROR, "tag/*", "category/*", "author/*", "feed/*"),
    ),
)
NO_PRESET = Preset("")
_BY_MARKER = tuple(preset for preset in PRESETS if preset.marker)


def find_preset(document: Document) -> Preset:
    """Return the preset of a page; one without rules where the page does not say what made it."""
    head = cast("Element", document.find("head"))  # the parser makes one
    named = " ".join(meta.attr("content") or "" for meta in head.select('meta[name="generator" i]')).lower()
    if named and (preset := next((each for each in PRESETS if each.generator and each.generator in named), None)):
        return preset
    return next((preset for preset in _BY_MARKER if head.select_one(preset.marker) is not None), NO_PRESET)
