"""Many keys in one request: put, delete, get."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from nimbus_tasks.backends.kv.fake import answers, limits
from nimbus_tasks.backends.kv.fake.answers import Answer, Refusal, envelope
from nimbus_tasks.backends.kv.fake.checks import check_expiration, check_key, check_metadata, check_value
from nimbus_tasks.backends.kv.fake.store import Row

if TYPE_CHECKING:
    from nimbus_tasks.backends.kv.fake.call import Call, Cloud

T = TypeVar("T")


class Pair(Struct):
    """One pair of a bulk put; other fields mean nothing."""

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
    """Store all pairs, or none. Where a key comes twice, the later value wins."""
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
    lost = [key for key in rows if cloud.misfortune.strikes(key)]
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
    """Answer with the values of up to 100 keys, null for those that are not there."""
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
