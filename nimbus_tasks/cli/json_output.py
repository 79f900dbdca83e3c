"""What `--json` prints: JSON on standard output, and nothing else there. `schemas.py` lists the documents."""

from __future__ import annotations

import sys

import msgspec
from msgspec import Struct

from nimbus_tasks.cli.console import write


class SkippedSource(Struct, frozen=True):
    """A source file that is not published. failed: it may be a page, but cannot be read."""

    path: str
    reason: str
    failed: bool


class Extracted(Struct, frozen=True):
    """What `extract --json` prints.

    pages: source files that have a map now. read: source files that were read.
    written, removed: map files that changed, or are gone.
    """

    pages: int
    read: int
    written: tuple[str, ...]
    removed: tuple[str, ...]
    skipped: tuple[SkippedSource, ...]


def print_document(document: object) -> None:
    """Print one indented document."""
    write(sys.stdout, msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


def print_line(document: object) -> None:
    """Print a document on one line, as one of many (NDJSON)."""
    write(sys.stdout, msgspec.json.encode(document).decode() + "\n")
