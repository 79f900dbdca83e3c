"""What `--json` prints: one JSON document on standard output, and nothing else there.

Here are the documents that no stage has by itself; `schemas.py` lists them all.
"""

from __future__ import annotations

import sys

import msgspec
from msgspec import Struct


class SkippedSource(Struct, frozen=True):
    """A source file that is not a page to publish. failed: it may be one, but cannot be read."""

    path: str
    reason: str
    failed: bool


class Extracted(Struct, frozen=True):
    """What extraction did.

    pages: how many source files have a map now; read: how many it read.
    written, removed: the map files that differ from before, or are gone.
    """

    pages: int
    read: int
    written: tuple[str, ...]
    removed: tuple[str, ...]
    skipped: tuple[SkippedSource, ...]


class ProjectMade(Struct, frozen=True):
    """The project that is here now. already: it was before, and nothing was changed."""

    project_id: str
    name: str
    domain: str
    source: str
    file: str
    already: bool


def print_document(document: object) -> None:
    """Print a document, indented, and have it out before anything else happens."""
    _print(msgspec.json.format(msgspec.json.encode(document), indent=2))


def print_line(document: object) -> None:
    """Print a document on a line of its own, and have it out: one of many (NDJSON)."""
    _print(msgspec.json.encode(document))


def _print(text: bytes) -> None:
    sys.stdout.write(text.decode() + "\n")
    sys.stdout.flush()
