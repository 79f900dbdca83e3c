"""What KV refuses of a key, a value, metadata, an expiration or a form.

The statuses are those of a put of one key, as Cloudflare's storage gives them (414 for a key, 413 for a value or its
metadata). In a bulk put one bad pair makes the request a 400, and nothing of it is stored: the documents know no single
refused pair, and `unsuccessful_keys` are keys that "failed to be fully updated" and "should be retried".
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import msgspec

from nimbus_tasks.backends.kv.fake import limits
from nimbus_tasks.backends.kv.fake.answers import Refusal, too_large, wrong_body

_ENCODED = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")


def key_of(segment: str) -> str:
    """Decode the last segment of a path. `+` is a plus."""
    undecodable = Refusal(400, 10042, "could not URL-decode key name")
    if not _ENCODED.fullmatch(segment):
        raise undecodable
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise undecodable from None


def check_key(key: str) -> bytes:
    """Return the key's bytes.

    Raises:
        Refusal: KV does not accept the key.
    """
    if key in limits.FORBIDDEN_KEYS:
        raise Refusal(400, 10042, f'Illegal key name "{key}". Please use a different name.')
    encoded = key.encode()
    if len(encoded) > limits.KEY_BYTES:
        words = f"UTF-8 encoded length of {len(encoded)} exceeds key length limit of {limits.KEY_BYTES}."
        raise Refusal(414, 10030, words)
    return encoded


def check_value(value: bytes) -> None:
    if len(value) > limits.VALUE_BYTES:
        raise too_large(f"Value length of {len(value)} exceeds limit of {limits.VALUE_BYTES}.")


def check_metadata(metadata: bytes) -> bytes:
    """Return the metadata to store, empty for null. The limit applies to its JSON without white space."""
    if len(metadata) > limits.METADATA_BYTES:
        metadata = msgspec.json.encode(msgspec.json.decode(metadata))
        if len(metadata) > limits.METADATA_BYTES:
            raise too_large(f"Metadata length of {len(metadata)} exceeds limit of {limits.METADATA_BYTES}.")
    return b"" if metadata == b"null" else metadata


def read_metadata(metadata: bytes) -> bytes:
    """Return the checked JSON of a form field."""
    try:
        msgspec.json.decode(metadata)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise wrong_body("metadata must be valid JSON") from None
    return check_metadata(metadata)


def check_expiration(expiration: int | None, ttl: int | None, now: float) -> int | None:
    """Return when the key expires, in seconds since the epoch. Where both are set, the ttl is used."""
    if ttl is not None:
        if ttl < limits.SOONEST_EXPIRATION:
            words = f"Invalid expiration_ttl of {ttl}. Expiration TTL must be at least {limits.SOONEST_EXPIRATION}."
            raise Refusal(400, 10034, words)
        return int(now) + ttl
    if expiration is not None and expiration < int(now) + limits.SOONEST_EXPIRATION:
        words = f"Invalid expiration of {expiration}. Expiration times must be at least 60 seconds in the future."
        raise Refusal(400, 10033, words)
    return expiration


def read_number(text: str | None, name: str) -> int | None:
    """Return a whole number of a query."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise Refusal(400, 10033, f"Invalid {name} of {text[:32]}. Please specify integer greater than 0.")
    return int(text)


# --- multipart/form-data (RFC 7578), as far as a put of one key needs it -------------------------------

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb';\s*name="([^"]*)"', re.IGNORECASE)
_LINE = b"\r\n"


def is_form(content_type: str) -> bool:
    return content_type.lower().startswith("multipart/form-data")


def form_fields(body: bytes, content_type: str) -> dict[str, bytes]:
    """Return the fields of a form. If a name occurs twice, the last one counts.

    Raises:
        Refusal: it is not one.
    """
    found = _BOUNDARY.search(content_type)
    if not found:
        raise wrong_body("could not read the form: its boundary is missing")
    delimiter = b"--" + (found[1] or found[2]).encode()
    parts: dict[str, bytes] = {}
    # Text before the first delimiter is ignored; the delimiter must begin a line.
    at = 0 if body.startswith(delimiter) else _after(body, _LINE + delimiter, 0) - len(delimiter)
    while True:
        at += len(delimiter)
        if body.startswith(b"--", at):
            return parts
        start = _after(body, _LINE, at)
        # A part without headers has no name.
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
