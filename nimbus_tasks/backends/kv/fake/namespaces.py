"""The namespaces of an account, one of them, and the names that stand in it."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec

from nimbus_tasks.backends.kv.fake import answers, limits
from nimbus_tasks.backends.kv.fake.answers import Answer, Refusal, envelope
from nimbus_tasks.backends.kv.fake.checks import read_number

if TYPE_CHECKING:
    from nimbus_tasks.backends.kv.fake.call import Call, Cloud
    from nimbus_tasks.backends.kv.fake.store import Namespace, Row


def list_namespaces(cloud: Cloud, call: Call) -> Answer:
    """List by `page` and `per_page`, in the order of the ids or of the titles."""
    page = read_number(call.query.get("page"), "page") or 1
    most = read_number(call.query.get("per_page"), "per_page") or limits.NAMESPACES_A_PAGE
    most = min(most, limits.MOST_NAMESPACES_A_PAGE)
    by_title = call.query.get("order") == "title"
    ordered = sorted(cloud.store.namespaces(), key=lambda found: (found.title if by_title else "", found.id))
    if call.query.get("direction") == "desc":
        ordered.reverse()
    shown = [_shown(found) for found in ordered[(page - 1) * most : page * most]]
    info = {
        "count": len(shown),
        "page": page,
        "per_page": most,
        "total_count": len(ordered),
        "total_pages": -(-len(ordered) // most),
    }
    return Answer(envelope(shown, result_info=info), lists=1)


def get_namespace(cloud: Cloud, call: Call) -> Answer:
    found = next(found for found in cloud.store.namespaces() if found.number == call.namespace)
    return Answer(envelope(_shown(found)))


def list_keys(cloud: Cloud, call: Call) -> Answer:
    """List names in the order of their UTF-8 bytes.

    Expired keys are gone through and not shown, so a page can be short or empty and yet not the last
    (docs/kv/api/list-keys: look at the cursor). A cursor goes with the prefix it was made for.
    """
    prefix = call.query.get("prefix", "").encode()
    most = _limit(call.query.get("limit"))
    after = _after(call.query.get("cursor", ""), prefix)
    rows = cloud.store.names(call.namespace, prefix, after, most + 1, call.now)
    page = rows[:most]
    cursor = _cursor(page[-1].key, prefix) if len(rows) > most else ""
    names = [_name(row) for row in page if row.expiration is None or row.expiration > call.now]
    return Answer(envelope(names, result_info={"count": len(names), "cursor": cursor}), lists=1)


def _shown(found: Namespace) -> dict[str, Any]:
    return {"id": found.id, "title": found.title, "supports_url_encoding": True}


def _name(row: Row) -> dict[str, Any]:
    name: dict[str, Any] = {"name": row.key.decode()}
    if row.expiration:
        name["expiration"] = row.expiration
    if row.metadata:
        name["metadata"] = msgspec.Raw(row.metadata)
    return name


def _limit(text: str | None) -> int:
    try:
        most = read_number(text, "limit")
    except Refusal:
        raise answers.wrong_limit() from None
    if most is None:
        return limits.MOST_NAMES
    if not limits.LEAST_NAMES <= most <= limits.MOST_NAMES:
        raise answers.wrong_limit()
    return most


def _cursor(last: bytes, prefix: bytes) -> str:
    """Say where a page ended, in a way that no client will read."""
    return base64.urlsafe_b64encode(b"%d:" % len(prefix) + prefix + last).decode().rstrip("=")


def _after(cursor: str, prefix: bytes) -> bytes:
    if not cursor:
        return b""
    try:
        length, _, rest = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).partition(b":")
        if int(length) != len(prefix) or not rest.startswith(prefix):
            raise answers.wrong_cursor()
        return rest[len(prefix) :]
    except (binascii.Error, ValueError):
        raise answers.wrong_cursor() from None
