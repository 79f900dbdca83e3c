"""The endpoints: one key, many keys, the namespaces of an account and the names in one."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from nimbus_tasks.backends.kv.fake import answers, limits
from nimbus_tasks.backends.kv.fake.answers import BYTES, Answer, Refusal, envelope
from nimbus_tasks.backends.kv.fake.checks import (
    check_expiration,
    check_key,
    check_metadata,
    check_value,
    form_fields,
    is_form,
    key_of,
    read_metadata,
    read_number,
)
from nimbus_tasks.backends.kv.fake.store import Row

if TYPE_CHECKING:
    from nimbus_tasks.backends.kv.fake.cloud import Call, Cloud
    from nimbus_tasks.backends.kv.fake.store import Namespace


# --- one key -------------------------------------------------------------------------------------------


def put_value(cloud: Cloud, call: Call) -> Answer:
    """Store the body, or the fields `value` and `metadata` of a form."""
    key = check_key(key_of(call.key))
    value, metadata = call.body, b""
    if is_form(call.content_type):
        fields = form_fields(call.body, call.content_type)
        if "value" not in fields:
            raise answers.wrong_body("could not read the form: it has no field 'value'")
        value = fields["value"]
        metadata = read_metadata(fields["metadata"]) if fields.get("metadata") else b""
    check_value(value)
    expiration = check_expiration(
        read_number(call.query.get("expiration"), "expiration"),
        read_number(call.query.get("expiration_ttl"), "expiration_ttl"),
        call.now,
    )
    if cloud.options.strict_writes and not cloud.spacing.allows(call.namespace, key, call.now):
        raise answers.too_often()
    if not cloud.daily_writes.spend(1, call.now):
        raise answers.quota_spent()
    cloud.store.put(call.namespace, [Row(key, value, metadata, expiration)], call.now)
    cloud.spacing.note(call.namespace, [key], call.now)
    return Answer(envelope({}), pairs=1, stored=1)


def get_value(cloud: Cloud, call: Call) -> Answer:
    """Return the value without an envelope; a header says when it expires."""
    row = _read(cloud, call)
    headers = {"expiration": str(row.expiration)} if row.expiration else {}
    return Answer(row.value, content_type=BYTES, headers=headers, pairs=1, read=1)


def get_metadata(cloud: Cloud, call: Call) -> Answer:
    row = _read(cloud, call)
    return Answer(envelope(msgspec.Raw(row.metadata) if row.metadata else None), pairs=1, read=1)


def delete_value(cloud: Cloud, call: Call) -> Answer:
    """Delete the key. A missing key is not an error."""
    key = check_key(key_of(call.key))
    cloud.store.delete(call.namespace, [key], call.now)
    return Answer(envelope({}), pairs=1, removed=1)


def _read(cloud: Cloud, call: Call) -> Row:
    row = cloud.store.get(call.namespace, check_key(key_of(call.key)), call.now)
    if row is None:
        raise answers.no_key("get")
    return row


# --- many keys -----------------------------------------------------------------------------------------

T = TypeVar("T")


class Pair(Struct):
    """One pair of a bulk put; other fields are ignored."""

    key: str
    value: str
    base64: bool = False
    expiration: int | None = None
    expiration_ttl: int | None = None
    metadata: Raw = Raw()


class Wanted(Struct, rename={"with_metadata": "withMetadata"}):
    """The body of a bulk get."""

    keys: list[str]
    type: Literal["text", "json"] = "text"
    with_metadata: bool = False


_pairs = msgspec.json.Decoder(list[Pair])
_keys = msgspec.json.Decoder(list[str])
_wanted = msgspec.json.Decoder(Wanted)


def put_pairs(cloud: Cloud, call: Call) -> Answer:
    """Store all pairs, or none. If a key occurs twice, the later value wins."""
    pairs = _decode(_pairs, call.body, "bulk put")
    _check_number("bulk put", "key/value pairs", len(pairs))
    rows: dict[bytes, Row] = {}
    for place, pair in enumerate(pairs):
        try:
            row = _row(pair, call.now)
        except Refusal as refusal:
            code, message = refusal.errors[0]["code"], refusal.errors[0]["message"]
            raise Refusal(400, code, f"bulk put: '[{place}]: {message}'") from None
        rows[row.key] = row
    if not cloud.daily_writes.spend(len(pairs), call.now):
        raise answers.quota_spent()
    lost = [key for key in rows if cloud.failing.fails(key)]
    for key in lost:
        del rows[key]
    cloud.store.put(call.namespace, rows.values(), call.now)
    cloud.spacing.note(call.namespace, rows, call.now)
    return Answer(_result(len(rows), lost), pairs=len(pairs), stored=len(rows))


def delete_keys(cloud: Cloud, call: Call) -> Answer:
    names = _decode(_keys, call.body, "bulk delete")
    _check_number("bulk delete", "keys", len(names))
    keys = {check_key(name) for name in names}
    cloud.store.delete(call.namespace, keys, call.now)
    return Answer(_result(len(keys), []), pairs=len(names), removed=len(keys))


def get_keys(cloud: Cloud, call: Call) -> Answer:
    """Return the values of up to 100 keys, null for missing ones."""
    wanted = _decode(_wanted, call.body, "bulk get keys")
    if not wanted.keys:
        raise answers.wrong_bulk_get("You must request a minimum of 1 key")
    if len(wanted.keys) > limits.BULK_GET_KEYS:
        raise answers.wrong_bulk_get(f"You can request a maximum of {limits.BULK_GET_KEYS} keys")
    rows = {name: cloud.store.get(call.namespace, check_key(name), call.now) for name in wanted.keys}
    if sum(len(row.value) for row in rows.values() if row) > limits.BULK_GET_BYTES:
        raise answers.too_large("bulk get keys: 'Total size of request exceeds the limit of 25MB'")
    values = {name: _shown(row, wanted) if row else None for name, row in rows.items()}
    return Answer(envelope({"values": values}), pairs=len(wanted.keys), read=len(rows))


def _row(pair: Pair, now: float) -> Row:
    key = check_key(pair.key)
    if pair.base64:
        try:
            value = base64.b64decode(pair.value, validate=True)
        except (binascii.Error, ValueError):
            raise answers.wrong_body("the value is not base64") from None
    else:
        value = pair.value.encode()
    check_value(value)
    expiration = check_expiration(pair.expiration, pair.expiration_ttl, now)
    return Row(key, value, check_metadata(bytes(pair.metadata)), expiration)


def _shown(row: Row, wanted: Wanted) -> Any:
    value = _read_as(row.value, wanted.type)
    if not wanted.with_metadata:
        return value
    shown = {"value": value, "metadata": Raw(row.metadata) if row.metadata else None}
    return {**shown, "expiration": row.expiration} if row.expiration else shown


def _read_as(value: bytes, kind: Literal["text", "json"]) -> str | Raw:
    try:
        if kind == "text":
            return value.decode()
        msgspec.json.decode(value)
        return Raw(value)
    except (ValueError, RecursionError):
        raise answers.wrong_bulk_get(f"At least one of the requested keys corresponds to a non-{kind} value") from None


def _decode(decoder: msgspec.json.Decoder[T], body: bytes, action: str) -> T:
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError) as error:
        raise answers.wrong_body(f"{action}: 'could not parse the request body: {error}'") from None


def _check_number(action: str, things: str, number: int) -> None:
    if number > limits.BULK_PAIRS:
        words = f"received {number} {things}, but max allowed per request is: {limits.BULK_PAIRS}"
        raise answers.wrong_body(f"{action}: '{words}'")


def _result(successful: int, lost: list[bytes]) -> bytes:
    return envelope({"successful_key_count": successful, "unsuccessful_keys": [key.decode() for key in lost]})


# --- namespaces and names ------------------------------------------------------------------------------


def list_namespaces(cloud: Cloud, call: Call) -> Answer:
    """List by `page` and `per_page`, in the order of the ids or of the titles."""
    page = read_number(call.query.get("page"), "page") or 1
    most = read_number(call.query.get("per_page"), "per_page") or limits.NAMESPACES_A_PAGE
    most = min(most, limits.MOST_NAMESPACES_A_PAGE)
    by_title = call.query.get("order") == "title"
    ordered = sorted(cloud.store.namespaces(), key=lambda found: (found.title if by_title else "", found.id))
    if call.query.get("direction") == "desc":
        ordered.reverse()
    shown = [_described(found) for found in ordered[(page - 1) * most : page * most]]
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
    return Answer(envelope(_described(found)))


def list_keys(cloud: Cloud, call: Call) -> Answer:
    """List names in the order of their UTF-8 bytes.

    Expired keys count but are not shown, so that a page can be short or empty and not the last
    (docs/kv/api/list-keys: check the cursor). A cursor is valid only for its prefix.
    """
    prefix = call.query.get("prefix", "").encode()
    most = _limit(call.query.get("limit"))
    after = _after(call.query.get("cursor", ""), prefix)
    rows = cloud.store.names(call.namespace, prefix, after, most + 1, call.now)
    page = rows[:most]
    cursor = _cursor(page[-1].key, prefix) if len(rows) > most else ""
    names = [_name(row) for row in page if row.expiration is None or row.expiration > call.now]
    return Answer(envelope(names, result_info={"count": len(names), "cursor": cursor}), lists=1)


def _described(found: Namespace) -> dict[str, Any]:
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
    """Return an opaque cursor that holds where the page ended."""
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
