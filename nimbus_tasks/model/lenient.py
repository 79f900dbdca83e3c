"""Reading records as other programs write them, and replacing only what changed in them. Pure.

A record of exactly our shape is decoded strictly, which is fast and forbids unknown fields. Only if that fails it is
read field by field: null counts as missing, a missing field has its default or the empty value of its type, numbers
and texts are converted, and an item of a collection that cannot be read is skipped. An id or a state has no empty
value: without it the record cannot be read.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec
from msgspec import UNSET, Raw, Struct, inspect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")

#: What msgspec raises for JSON that it cannot decode, or that is nested too deeply.
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_NULL = b"null"
#: What makes the empty value of a type.
_EMPTY: Mapping[type, Callable[[], Any]] = {
    inspect.StrType: str,
    inspect.IntType: int,
    inspect.FloatType: float,
    inspect.BoolType: bool,
    inspect.ListType: list,
    inspect.DictType: dict,
}


class MisfitError(ValueError):
    """A value is not what its place asks for. The message names the place as a JSON pointer, then the reason."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}" if place else reason)
        self.reason = reason


class Reading(Struct, Generic[T], frozen=True):
    """A record that was read. skipped: what could not be read in it. exact: it has exactly our shape."""

    record: T
    skipped: tuple[str, ...] = ()
    exact: bool = True


def read(value: bytes, shape: type[T], ids: Mapping[str, str] | None = None) -> Reading[T]:
    """Return the record that this JSON holds. `ids`: those in its key, whatever these fields of it say.

    Raises:
        MisfitError: it cannot be read.
    """
    any_shape: Any = shape  # mypy does not take a type variable for hashable
    try:
        return Reading(_with_ids(_decoder(any_shape).decode(value), ids or {}))
    except UNDECODABLE as error:
        why = str(error)
    try:
        value.decode()
    except UnicodeDecodeError:
        raise MisfitError("", "not UTF-8 text") from None
    skipped: list[str] = []
    kind = _kind(any_shape)
    if isinstance(kind, inspect.StructType):
        record = _read_struct(Raw(value), kind, "", skipped, ids or {})
        return Reading(cast("T", _with_ids(record, ids or {})), tuple(skipped), exact=False)
    raise MisfitError("", why)


def rewrite(before: bytes | None, record: Struct, ids: Mapping[str, str] | None = None) -> bytes:
    """Return the JSON of a record that replaces `before`.

    Fields and items that this program does not know, and those that did not change, stay byte for byte.
    """
    if before is None:
        return msgspec.json.encode(record)
    try:
        reading = read(before, type(record), ids)
    except MisfitError:
        return msgspec.json.encode(record)
    if reading.exact:
        return msgspec.json.encode(record)
    if reading.record == record:
        return before
    kind = _kind(type(record))
    return bytes(_merge_struct(Raw(before), reading.record, record, cast("inspect.StructType", kind)))


def _with_ids(record: Any, ids: Mapping[str, str]) -> Any:
    """Return the record as its key names it: what is written about it must not go to another."""
    others = {name: value for name, value in ids.items() if getattr(record, name, UNSET) not in (UNSET, value)}
    return msgspec.structs.replace(record, **others) if others else record


@functools.cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


@functools.cache
def _kind(shape: Any) -> inspect.Type:
    return inspect.type_info(shape)


_members = msgspec.json.Decoder(dict[str, Raw]).decode
_elements = msgspec.json.Decoder(list[Raw]).decode
_any = msgspec.json.Decoder().decode


# --- reading ------------------------------------------------------------------------------------------


def _read(raw: Raw, kind: inspect.Type, place: str, skipped: list[str]) -> Any:
    match kind:
        case inspect.StructType():
            try:
                return _decoder(kind.cls).decode(raw)
            except UNDECODABLE:
                return _read_struct(raw, kind, place, skipped, {})
        case inspect.ListType():
            pairs = enumerate(_decode(_elements, raw, place, "expected an array"))
            return [item for _, item in _read_items(pairs, kind.item_type, place, skipped)]
        case inspect.DictType():
            members = _decode(_members, raw, place, "expected an object")
            return dict(_read_items(members.items(), kind.value_type, place, skipped))
        case inspect.RawType():
            return Raw(bytes(raw))
        case _:
            return _scalar(_decode(_any, raw, place, "not JSON"), kind, place)


def _read_struct(raw: Raw, kind: inspect.StructType, place: str, skipped: list[str], ids: Mapping[str, str]) -> Any:
    members = _decode(_members, raw, place, "expected an object")
    fields: dict[str, Any] = {}
    for field in kind.fields:
        held, inside = members.get(field.encode_name), f"{place}/{field.encode_name}"
        value: Any = UNSET
        if held is not None and bytes(held) != _NULL:
            try:
                value = _read(held, field.type, inside, skipped)
            except MisfitError:
                if field.required and isinstance(field.type, inspect.ListType | inspect.DictType):
                    raise
        if value is UNSET and field.required:
            value = ids.get(field.name, UNSET)
            value = _empty(field.type, inside) if value is UNSET else value
        if value is not UNSET:
            fields[field.name] = value
    try:
        return kind.cls(**fields)
    except ValueError as error:
        raise MisfitError(place, str(error)) from None


def _read_items(
    pairs: Iterable[tuple[Any, Raw]], kind: inspect.Type, place: str, skipped: list[str]
) -> Iterable[tuple[Any, Any]]:
    for name, raw in pairs:
        try:
            yield name, _read(raw, kind, f"{place}/{name}", skipped)
        except MisfitError as error:
            skipped.append(str(error))


def _decode(decode: Any, raw: Raw, place: str, otherwise: str) -> Any:
    try:
        return decode(raw)
    except UNDECODABLE as error:
        is_json = isinstance(error, msgspec.ValidationError)
        raise MisfitError(place, otherwise if is_json else f"not JSON ({error})") from None


def _scalar(value: Any, kind: inspect.Type, place: str) -> Any:
    """Return a text, number or truth value, converted where that loses nothing that matters."""
    match kind:
        case inspect.StrType() if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            return str(value)
        case inspect.StrType() if value == "" and not kind.min_length:
            return value
        case inspect.IntType() if (number := _number(value)) is not None:
            return round(number)
        case inspect.FloatType() if (number := _number(value)) is not None:
            return float(number)
        case inspect.BoolType() if isinstance(value, bool):
            return value
        case inspect.LiteralType() if value in kind.values:
            return value
        case inspect.AnyType():
            return value
    raise MisfitError(place, "unexpected value")


def _number(value: Any) -> int | float | None:
    """Return a number, or what a text says in digits; None if it is neither. At most 64 bits."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value if abs(value) < 2**63 else None


def _empty(kind: inspect.Type, place: str) -> Any:
    """Return the empty value of a type.

    Raises:
        MisfitError: it has none: an id, a state, or JSON of any kind.
    """
    if isinstance(kind, inspect.StructType):
        return _read_struct(Raw(b"{}"), kind, place, [], {})
    make = _EMPTY.get(type(kind))
    if make is not None and not (isinstance(kind, inspect.StrType) and kind.min_length):
        return make()
    raise MisfitError(place, "missing or invalid")


# --- rewriting ----------------------------------------------------------------------------------------


def _merge(held: Raw, old: Any, new: Any, kind: inspect.Type) -> Raw:
    """Return the JSON of `new` in place of `held`, which was read as `old`."""
    if old == new:
        return held
    try:
        match kind:
            case inspect.StructType():
                return _merge_struct(held, old, new, kind)
            case inspect.ListType(item_type=inspect.StructType() as item):
                return _merge_list(held, new, item)
            case inspect.DictType(value_type=inspect.StructType() as item):
                return _merge_dict(held, new, item)
    except UNDECODABLE:
        pass  # nothing of it can be kept
    return _encoded(new)


def _merge_struct(held: Raw, old: Any, new: Any, kind: inspect.StructType) -> Raw:
    fresh = {field.encode_name: field for field in kind.fields if _is_written(new, field)}
    known = {field.encode_name: field for field in kind.fields}
    merged: dict[str, Raw] = {}
    for name, raw in _members(held).items():
        field = known.get(name)
        if field is None:
            merged[name] = raw
            continue
        was, then = getattr(old, field.name), getattr(new, field.name)
        if was == then or fresh.pop(name, None) is not None:
            fresh.pop(name, None)
            merged[name] = _merge(raw, was, then, field.type)
    merged |= {name: _encoded(getattr(new, field.name)) for name, field in fresh.items()}
    return _encoded(merged)


def _merge_list(held: Raw, new: list[Any], kind: inspect.StructType) -> Raw:
    """Merge a list of structs, which their first field identifies; items that cannot be read go to its end."""
    identity = kind.fields[0].name
    known: dict[Any, list[tuple[Raw, Any]]] = {}
    unreadable: list[Raw] = []
    for raw in _elements(held):
        try:
            item = _read(raw, kind, "", [])
        except MisfitError:
            unreadable.append(raw)
        else:
            known.setdefault(getattr(item, identity), []).append((raw, item))
    merged = []
    for item in new:
        like = known.get(getattr(item, identity), [])
        same = next((each for each in like if each[1] == item), like[0] if like else None)
        if same is None:
            merged.append(_encoded(item))
        else:
            like.remove(same)
            merged.append(_merge(same[0], same[1], item, kind))
    return _encoded([*merged, *unreadable])


def _merge_dict(held: Raw, new: dict[str, Any], kind: inspect.StructType) -> Raw:
    merged: dict[str, Raw] = {}
    left = dict(new)
    for name, raw in _members(held).items():
        try:
            old = _read(raw, kind, "", [])
        except MisfitError:
            merged[name] = _encoded(left.pop(name)) if name in left else raw
        else:
            if name in left:
                merged[name] = _merge(raw, old, left.pop(name), kind)
    return _encoded(merged | {name: _encoded(item) for name, item in left.items()})


def _is_written(record: Any, field: inspect.Field) -> bool:
    """Return whether this field of a record is in its JSON."""
    value = getattr(record, field.name)
    omits = record.__struct_config__.omit_defaults
    return value is not UNSET and not (omits and not field.required and value == field.default)


def _encoded(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))
