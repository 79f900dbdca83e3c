"""The JSON documents, from the structs that they are made of, and the JSON Schema of each as a file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docsite.commands import FOLDER
from docsite.markdown import code, table
from docsite.settings import type_words
from nimbus_tasks.cli.schemas import DOCUMENTS, Document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REFERENCE = "#/$defs/"
#: The settings are no document that is printed: they have a page of their own.
_ELSEWHERE = "project"


def sections() -> str:
    """Return a section for each document: what prints it, where it is kept, and its fields."""
    return "\n\n".join(_section(document) for document in DOCUMENTS if document.name != _ELSEWHERE)


def _section(document: Document) -> str:
    schema = document.schema()
    parts = [f"## {document.name} {{#{document.name}}}", _origin(document)]
    shapes = list(_shapes(schema))
    for title, shape in shapes:
        if len(shapes) > 1:
            parts.append(f"**{title}**")
        needed = shape.get("required", ())
        said = _told(shape.get("description", ""))
        rows = [
            (
                code(key),
                _type(schema, rule),
                " ".join([said.get(key, ""), *([] if key in needed else ["May be left out."])]),
            )
            for key, rule in shape["properties"].items()
        ]
        titles = ["field", "type", "says"] if any(row[2] for row in rows) else ["field", "type"]
        parts.append(table(titles, [row[: len(titles)] for row in rows]))
    return "\n\n".join(parts)


def _told(docstring: str) -> dict[str, str]:
    """Return what a struct's docstring says of its fields: `name: text`, which may go on in lines set in."""
    told: dict[str, str] = {}
    name = ""
    for line in docstring.splitlines():
        if found := re.fullmatch(r"(\w+(?:, \w+)*): (.+)", line):
            name = found[1]
            told |= dict.fromkeys(name.split(", "), found[2])
        elif name and line.startswith(" "):
            told |= {each: f"{told[each]} {line.strip()}" for each in name.split(", ")}
        else:
            name = ""
    return told


def _origin(document: Document) -> str:
    said = [f"{document.title}. [JSON Schema](schemas/{document.name}.json)."]
    if document.tasks:
        links = [f"[`doit {task} --json`]({FOLDER}{task.replace(':', '-')}.md)" for task in document.tasks]
        each = ", one on each line" if document.lines else ""
        said.append(f"Printed by {', '.join(links)}{each}.")
    if document.file:
        said.append(f"Kept in {code(document.file)}.")
    return " ".join(said)


def _shapes(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the structs that a document may be, each with its name."""
    if "properties" in schema:
        yield schema["title"], schema
    for rule in [schema, *schema.get("anyOf", ())]:
        if "$ref" in rule:
            name = rule["$ref"].removeprefix(_REFERENCE)
            yield name, schema["$defs"][name]


def _type(schema: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    """Say what a field holds: a value, another struct by its fields' names, or several of one."""
    if "$ref" in rule:
        named = schema["$defs"][rule["$ref"].removeprefix(_REFERENCE)]
        if "properties" not in named:
            return type_words(named)
        return "{" + ", ".join(code(key) for key in named["properties"]) + "}"
    if "anyOf" in rule:
        return " or ".join(_type(schema, each) for each in rule["anyOf"])
    if rule.get("type") == "array" and "items" in rule:
        return f"list: {_type(schema, rule['items'])}"
    if rule.get("type") == "object" and isinstance(rule.get("additionalProperties"), dict):
        return f"by name: {_type(schema, rule['additionalProperties'])}"
    return type_words(rule) or "any"
