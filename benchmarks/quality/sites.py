"""The sites that `make quality` judges, and where each has its content.

The containers were chosen by reading one page of each kind of a site: they are the reference, and no input of the
extractor.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

from msgspec import Struct

CACHE = Path(__file__).parents[2] / ".cache" / "quality"
_SEED = 20240902
#: Indexes and error pages, which no tool should take for content: extraction skips those of the generators it knows.
_GENERATED = re.compile(r"(?:genindex.*|(?:np|py)-modindex|search|404)\.html?")


class Site(Struct, frozen=True):
    """A site as its generator wrote it.

    package: Debian's package with it.
    folder: the site's folder in the package.
    container: CSS selector of the elements with the content.
    exclude: what is no content within them.
    optional: what may be kept or left out, such as a page's own table of contents.
    """

    name: str
    package: str
    folder: str
    container: str
    exclude: str = ""
    optional: str = ""

    @property
    def root(self) -> Path:
        return CACHE / self.package / self.folder

    def all_pages(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*.htm*") if path.is_file() and not path.is_symlink())

    def pages(self, at_most: int) -> list[Path]:
        """Return the pages, or a sample of them: the same in each run."""
        found = [path for path in self.all_pages() if not _GENERATED.fullmatch(path.name)]
        return sorted(random.Random(_SEED).sample(found, at_most)) if len(found) > at_most else found


_SPHINX_OPTIONAL = "div.contents, nav.contents, #contents.topic, .toctree-wrapper"
_SPHINX_EXCLUDE = ".headerlink, .viewcode-link, .viewcode-back"

SITES = (
    Site("git (AsciiDoc)", "git-doc", "usr/share/doc/git-doc", "body", "#footer", "#toc"),
    Site(
        "Django (Sphinx)",
        "python-django-doc",
        "usr/share/doc/python-django-doc/html",
        "#yui-main .yui-g",
        _SPHINX_EXCLUDE,
        _SPHINX_OPTIONAL,
    ),
    Site(
        "SQLAlchemy (Sphinx)",
        "python-sqlalchemy-doc",
        "usr/share/doc/python-sqlalchemy-doc/html",
        "#docs-body",
        _SPHINX_EXCLUDE,
        _SPHINX_OPTIONAL,
    ),
    Site("MkDocs (MkDocs)", "mkdocs-doc", "usr/share/doc/mkdocs/html", ".col-md-9", ".headerlink"),
    Site(
        "Octave (Texinfo)",
        "octave-doc",
        "usr/share/doc/octave/octave.html",
        "body",
        "div.header, .nav-panel, .copiable-link",
        ".contents, .menu, .mini-toc",
    ),
    Site(
        "GLib (gtk-doc)",
        "libglib2.0-doc",
        "usr/share/gtk-doc/html",
        "body",
        "table.navigation, div.footer",
        ".toc, #shortcuts",
    ),
    Site(
        "Debian Policy (Sphinx)",
        "debian-policy",
        "usr/share/doc/debian-policy/policy.html",
        "div.body",
        _SPHINX_EXCLUDE,
        _SPHINX_OPTIONAL,
    ),
    Site(
        "Node.js (own)",
        "nodejs-doc",
        "usr/share/doc/nodejs/api",
        "#apicontent, #toc, h1",
        ".mark, .copy-button",
        "#toc, h1",
    ),
    Site(
        "CMake (Sphinx)",
        "cmake-doc",
        "usr/share/doc/cmake-data/html",
        "div.body",
        _SPHINX_EXCLUDE,
        _SPHINX_OPTIONAL,
    ),
    Site(
        "Flask (Sphinx)",
        "python-flask-doc",
        "usr/share/doc/python-flask-doc/html",
        "div.body",
        _SPHINX_EXCLUDE,
        _SPHINX_OPTIONAL,
    ),
    Site(
        "pytest (Sphinx)",
        "python-pytest-doc",
        "usr/share/doc/python-pytest-doc/html",
        "div.body",
        _SPHINX_EXCLUDE,
        _SPHINX_OPTIONAL,
    ),
    Site(
        "Borg (Sphinx Guzzle)",
        "borgbackup-doc",
        "usr/share/doc/borgbackup-doc/html",
        # Two pages came with the fonts.
        "div.body, body:not(:has(div.body))",
        _SPHINX_EXCLUDE,
        _SPHINX_OPTIONAL,
    ),
    Site(
        "Buildbot (Sphinx RTD)",
        "buildbot-doc",
        "usr/share/doc/buildbot/html",
        "div.document",
        _SPHINX_EXCLUDE,
        _SPHINX_OPTIONAL,
    ),
)

#: Sites that nothing was tuned on: judged with `--held-out`, to see what the figures above are worth.
HELD_OUT = (
    Site(
        "PostgreSQL (DocBook)",
        "postgresql-doc-15",
        "usr/share/doc/postgresql-doc-15/html",
        "body",
        ".navheader, .navfooter",
        ".toc, .indexterm",
    ),
    Site(
        "Doxygen (Doxygen)",
        "doxygen-doc",
        "usr/share/doc/doxygen/html",
        "#doc-content, .header, .contents",
        "",
        ".toc, .directory, .summary",
    ),
    Site(
        "Commons Lang (Javadoc)",
        "libcommons-lang3-java-doc",
        "usr/share/doc/libcommons-lang3-java/api",
        "main",
        "",
        ".toc, .sub-title, .inheritance",
    ),
    Site(
        "GTK (gi-docgen)", "libgtk-4-doc", "usr/share/doc/libgtk-4-doc/gtk4", "#main", ".anchor, .srclink", ".hierarchy"
    ),
    Site(
        "Nim (own)",
        "nim-doc",
        "usr/share/doc/nim/html",
        # Pages without a sidebar have no `#content`.
        "#content, h1.title, .container:not(:has(#content))",
        ".link-seesrc, .footer",
        "#toc-list",
    ),
    Site("SWI-Prolog (own)", "swi-prolog-doc", "usr/share/swi-prolog/doc/Manual", "body", ".navigate", ".toc"),
    Site(
        "attrs (Sphinx RTD)",
        "python-attr-doc",
        "usr/share/doc/python-attr-doc/html",
        "div.document",
        _SPHINX_EXCLUDE,
        _SPHINX_OPTIONAL,
    ),
    Site(
        "Tornado (Sphinx RTD)",
        "python-tornado-doc",
        "usr/share/doc/python-tornado-doc/html",
        "div.document",
        _SPHINX_EXCLUDE,
        _SPHINX_OPTIONAL,
    ),
    Site(
        "Crystal (own)",
        "crystal-doc",
        "usr/share/doc/crystal/api-docs",
        ".main-content",
        ".method-permalink",
        ".superclass-hierarchy",
    ),
    Site(
        "Debian Reference (DocBook)",
        "debian-reference-en",
        "usr/share/debian-reference",
        "body",
        ".navheader, .navfooter",
        ".toc",
    ),
    Site(
        "BIND (Sphinx RTD)",
        "bind9-doc",
        "usr/share/doc/bind9-doc/arm",
        "div.document",
        _SPHINX_EXCLUDE,
        _SPHINX_OPTIONAL,
    ),
    Site(
        "NTPsec (Asciidoctor)",
        "ntpsec-doc",
        "usr/share/doc/ntpsec-doc/html",
        "body",
        # A table with "Home Page", "Site Map" and "Contacts" ends most pages.
        '#footer, table:has(a[href="index.html"]):has(a[href="sitemap.html"])',
        "#toc, .toc",
    ),
)
