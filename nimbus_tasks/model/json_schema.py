"""JSON Schemas made from the structs that are read and written, so that they cannot say anything else. Pure.

What we print is described as it is printed: each field that is always there is required. What a person writes is
described as it is read: a key that nobody knows is an error.
"""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
from msgspec import UNSET, Struct

_ADDRESS = "#/$defs/{name}"
#: What editors of TOML know best, and what is current for documents. Nothing here reads differently in the two.
FOR_EDITORS = "http://json-schema.org/draft-07/schema#"
CURRENT = "https://json-schema.org/draft/2020-12/schema"


def schema_of_document(shape: Any, title: str) -> dict[str, Any]:
    """Return the schema of a document as it is printed. `shape` is a struct, or a union or list of some."""
    schema = _schema(shape, CURRENT)
    written = {(cls.__name__, frozenset(_names(cls))): cls for cls in _structs(shape)}
    for definition in schema["$defs"].values():
        properties = definition.get("properties", {})
        cls = written.get((definition.get("title", ""), frozenset(properties)))
        if cls is not None and not cls.__struct_config__.omit_defaults:
            left_out = {field.encode_name for field in msgspec.structs.fields(cls) if field.default is UNSET}
            definition["required"] = [name for name in _names(cls) if name not in left_out]
    return _rooted(schema, title)


def schema_of_settings(shape: type[Struct], title: str) -> dict[str, Any]:
    """Return the schema of a file that a person writes: no key but those that there are."""
    schema = _schema(shape, FOR_EDITORS)
    for definition in schema["$defs"].values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    return _rooted(schema, title)


def _schema(shape: Any, dialect: str) -> dict[str, Any]:
    (root,), definitions = msgspec.json.schema_components([shape], ref_template=_ADDRESS)
    for definition in definitions.values():
        if said := definition.get("description"):
            definition["description"] = inspect.cleandoc(said)
    return {"$schema": dialect, **root, "$defs": definitions}


def _rooted(schema: dict[str, Any], title: str) -> dict[str, Any]:
    """Return a schema whose root is no reference: older editors do not look beside one."""
    definitions = dict(schema["$defs"])
    name = schema.get("$ref", "").rpartition("/")[2]
    root = definitions.pop(name) if name else schema
    return {"$schema": schema["$schema"]} | root | {"title": title, "$defs": definitions}


def _names(cls: type[Struct]) -> list[str]:
    """Return the names of a struct's fields as they are written, with the one that tells it from others."""
    config = cls.__struct_config__
    return [*([config.tag_field] if config.tag_field else []), *cls.__struct_encode_fields__]


def _structs(shape: Any) -> set[type[Struct]]:
    """Return the structs that a shape is made of, however deep."""
    found: set[type[Struct]] = set()
    pending: list[Any] = [msgspec.inspect.type_info(shape)]
    while pending:
        part = pending.pop()
        if isinstance(part, (tuple, list)):
            pending += part
        elif isinstance(part, msgspec.inspect.StructType):
            if part.cls not in found:
                found.add(part.cls)
                pending += [field.type for field in part.fields]
        elif isinstance(part, msgspec.inspect.Type):
            pending += [getattr(part, name) for name in part.__struct_fields__]
    return found
