"""One key: put, get, delete, and its metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.kv.fake import answers, form
from nimbus_tasks.backends.kv.fake.answers import BYTES, Answer, envelope
from nimbus_tasks.backends.kv.fake.checks import (
    check_expiration,
    check_key,
    check_value,
    key_of,
    read_metadata,
    read_number,
)
from nimbus_tasks.backends.kv.fake.store import Row

if TYPE_CHECKING:
    from nimbus_tasks.backends.kv.fake.call import Call, Cloud


def put_value(cloud: Cloud, call: Call) -> Answer:
    """Store the body as it is, or the fields `value` and `metadata` of a form."""
    key = check_key(key_of(call.key))
    value, metadata = call.body, b""
    if form.is_form(call.content_type):
        fields = form.fields(call.body, call.content_type)
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
    """Answer with the value alone, without an envelope; when it expires is in a header."""
    row = _read(cloud, call)
    headers = {"expiration": str(row.expiration)} if row.expiration else {}
    return Answer(row.value, content_type=BYTES, headers=headers, pairs=1, read=1)


def get_metadata(cloud: Cloud, call: Call) -> Answer:
    row = _read(cloud, call)
    return Answer(envelope(msgspec.Raw(row.metadata) if row.metadata else None), pairs=1, read=1)


def delete_value(cloud: Cloud, call: Call) -> Answer:
    """Delete the key. That there is none is no error."""
    key = check_key(key_of(call.key))
    cloud.store.delete(call.namespace, [key], call.now)
    return Answer(envelope({}), pairs=1, removed=1)


def _read(cloud: Cloud, call: Call) -> Row:
    row = cloud.store.get(call.namespace, check_key(key_of(call.key)), call.now)
    if row is None:
        raise answers.no_key("get")
    return row
