"""multipart/form-data, as far as a put of one key needs it: the fields' bytes by their names (RFC 7578)."""

from __future__ import annotations

import re

from nimbus_tasks.backends.kv.fake.answers import wrong_body

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb';\s*name="([^"]*)"', re.IGNORECASE)
_LINE = b"\r\n"


def is_form(content_type: str) -> bool:
    return content_type.lower().startswith("multipart/form-data")


def fields(body: bytes, content_type: str) -> dict[str, bytes]:
    """Return the fields of a form; of two with one name the last.

    Raises:
        Refusal: it is not one.
    """
    found = _BOUNDARY.search(content_type)
    if not found:
        raise wrong_body("could not read the form: its boundary is missing")
    delimiter = b"--" + (found[1] or found[2]).encode()
    parts: dict[str, bytes] = {}
    # Before the first delimiter may stand anything, which means nothing; it must begin a line like all the others.
    at = 0 if body.startswith(delimiter) else _after(body, _LINE + delimiter, 0) - len(delimiter)
    while True:
        at += len(delimiter)
        if body.startswith(b"--", at):
            return parts
        start = _after(body, _LINE, at)
        # A part may have no header at all, but then it has no name either.
        content = _after(body, _LINE + _LINE, start)
        end = body.find(_LINE + delimiter, content)
        if end < 0:
            raise wrong_body("could not read the form: it ends within a part")
        name = _NAME.search(body, start, content)
        if not name:
            raise wrong_body("could not read the form: a part has no name")
        parts[name[1].decode("latin-1")] = body[content:end]
        at = end + len(_LINE)


def _after(body: bytes, wanted: bytes, start: int) -> int:
    at = body.find(wanted, start)
    if at < 0:
        raise wrong_body("could not read the form: it ends too early")
    return at + len(wanted)
