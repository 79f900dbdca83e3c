"""One JSON document on standard output, for `--json`; nothing else goes there then."""

from __future__ import annotations

import sys

import msgspec


def print_document(document: object) -> None:
    """Print a document, indented, and have it out before anything else happens."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")
    sys.stdout.flush()
