"""What `--json` prints: JSON on standard output, and nothing else there. `schemas.py` lists the documents.

A program that starts us, such as the Gulp plugin, may have the same documents beside the lines for people.
"""

from __future__ import annotations

import contextlib
import os
import sys

import msgspec
from msgspec import Struct

from nimbus_tasks.cli.console import write
from nimbus_tasks.project.documents import encoded
from nimbus_tasks.project.secrets import hide, hide_json

#: In the environment: a file descriptor for the documents.
RESULT = "NIMBUS_RESULT"


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


def give_document(document: object, *, as_json: bool) -> None:
    """Print a document, indented, if asked to; hand it on one line to the program that started us, if it wants it.

    A command that runs others hands over its own last: the last line is the answer.
    """
    if not (as_json or is_wanted()):
        return
    if is_wanted():
        # If that program has ended, there is no reader.
        with contextlib.suppress(OSError), open(int(os.environ[RESULT]), "wb", closefd=False) as result:
            result.writelines(encoded(document))
            result.write(b"\n")
    if as_json:
        for part in encoded(document, indent=2):
            write(sys.stdout, part.decode())
        write(sys.stdout, "\n")


def give_text(text: str) -> None:
    """Print a text on standard output, and nothing around it."""
    write(sys.stdout, hide(text))


def is_wanted() -> bool:
    """Return whether the program that started us wants the documents."""
    return RESULT in os.environ


def print_line(document: object) -> None:
    """Print a document on one line, as one of many (NDJSON)."""
    write(sys.stdout, hide_json(msgspec.json.encode(document)).decode() + "\n")
