"""Tables of the settings and of the JSON documents, made from their JSON Schemas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from docsite.markdown import code, table
from nimbus_tasks.cli.schemas import DOCUMENTS, Document
from nimbus_tasks.project.settings import ENVIRONMENT, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Schema = Mapping[str, Any]


def settings() -> str:
    """Return a section for each table of the project file: key, type, default, description."""
    [document] = [each for each in DOCUMENTS if each.shape is Settings]
    schema = document.schema()
    parts = []
    for name, reference in schema["properties"].items():
        shape = _resolve(schema, reference)
        description = shape["description"].partition(": ")[2]
        rows = [
            (code(key), _type(schema, rule), _default(rule), _resolve(schema, rule).get("description", ""))
            for key, rule in shape["properties"].items()
        ]
        parts += [f"## [{name}] {{#{name}}}", description[:1].upper() + description[1:]]
        parts += [table(["key", "type", "default", "description"], rows)]
    return "\n\n".join(parts)


def environment() -> str:
    """Return a table of the environment variables that override settings."""
    return table(["variable", "setting"], [(code(name), code(f"[{t}] {k}")) for name, (t, k) in ENVIRONMENT.items()])


def documents() -> str:
    """Return a section for each document: the commands that print it, its file, its fields."""
    return "\n\n".join(part for each in DOCUMENTS if each.shape is not Settings for part in _section(each))


def _section(document: Document) -> Iterator[str]:
    schema = document.schema()
    yield f"## {document.name} {{#{document.name}}}"
    links = [f"[`doit {task} --json`](commands/{task.replace(':', '-')}.md)" for task in document.tasks]
    lines = ", one a line" if document.lines else ""
    printed = f"Printed by {', '.join(links)}{lines}. " if links else ""
    file = f"Written to {code(document.file)}. " if document.file else ""
    yield f"{document.title}. {printed}{file}[JSON Schema](schemas/{document.name}.json)."
    for shape in [schema] if "properties" in schema else [_resolve(schema, each) for each in schema["anyOf"]]:
        required = shape.get("required", ())
        rows = [
            (code(key), _type(schema, rule) + ("" if key in required else ", optional"))
            for key, rule in shape["properties"].items()
        ]
        yield table(["field", "type"], rows)


def _type(schema: Schema, rule: Schema) -> str:
    """Describe the values that a JSON Schema allows."""
    rule = _resolve(schema, rule)
    if "anyOf" in rule:
        return " or ".join(_type(schema, each) for each in rule["anyOf"] if each.get("type") != "null")
    if "enum" in rule:
        return ", ".join(code(json.dumps(value)) for value in rule["enum"])
    if "properties" in rule:
        return "{" + ", ".join(map(code, rule["properties"])) + "}"
    match rule.get("type", "any"):
        case "array":
            return f"list of {_type(schema, rule.get('items', {}))}"
        case "object":
            return f"table of {_type(schema, rule.get('additionalProperties') or {})}"
        case kind:
            limits = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to"}
            return " ".join([kind, *(f"{word} {rule[key]:g}" for key, word in limits.items() if key in rule)])


def _default(rule: Schema) -> str:
    default = rule.get("default")
    # As a person writes it: 30, not 30.0.
    value = int(default) if isinstance(default, float) and default.is_integer() else default
    return "" if default is None else code(json.dumps(value))


def _resolve(schema: Schema, rule: Schema) -> Schema:
    """Follow a reference to a definition."""
    resolved: Schema = schema["$defs"][rule["$ref"].rpartition("/")[2]] if "$ref" in rule else rule
    return resolved
