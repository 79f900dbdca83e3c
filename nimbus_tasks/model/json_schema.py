"""JSON Schemas of documents and settings, generated from their structs.

In documents that we print, each field that is always present is required. In files that people write, unknown keys
are errors.
"""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
from msgspec import UNSET, Struct

_REF_TEMPLATE = "#/$defs/{name}"
#: The dialect that TOML editors support, and the current one. What we generate means the same in both.
FOR_EDITORS = "http://json-schema.org/draft-07/schema#"
CURRENT = "https://json-schema.org/draft/2020-12/schema"


def schema_of_document(shape: Any, title: str) -> dict[str, Any]:
    """Return the schema of a printed document. `shape` is a struct, or a union or list of structs."""
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
    """Return the schema of a file that people write, without unknown keys."""
    schema = _schema(shape, FOR_EDITORS)
    for definition in schema["$defs"].values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    return _rooted(schema, title)


def _schema(shape: Any, dialect: str) -> dict[str, Any]:
    (root,), definitions = msgspec.json.schema_components([shape], ref_template=_REF_TEMPLATE)
    for definition in definitions.values():
        if text := definition.get("description"):
            definition["description"] = inspect.cleandoc(text)
    return {"$schema": dialect, **root, "$defs": definitions}


def _rooted(schema: dict[str, Any], title: str) -> dict[str, Any]:
    """Return a schema whose root is not a reference: older editors ignore the keys beside one."""
    definitions = dict(schema["$defs"])
    name = schema.get("$ref", "").rpartition("/")[2]
    root = definitions.pop(name) if name else schema
    return {"$schema": schema["$schema"]} | root | {"title": title, "$defs": definitions}


def _names(cls: type[Struct]) -> list[str]:
    """Return the encoded names of a struct's fields, including its tag."""
    config = cls.__struct_config__
    return [*([config.tag_field] if config.tag_field else []), *cls.__struct_encode_fields__]


def _structs(shape: Any) -> set[type[Struct]]:
    """Return all structs in a shape, at any depth."""
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
