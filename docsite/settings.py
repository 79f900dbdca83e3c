"""The settings, from the JSON Schema that editors read, which is made from the structs that the program reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from docsite.markdown import code, table
from nimbus_tasks.model.json_schema import schema_of_settings
from nimbus_tasks.project.settings import ENVIRONMENT, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def tables() -> str:
    """Return each table of the project file: key, type, default, description."""
    schema = schema_of_settings(Settings, "settings")
    parts = []
    for name, shape in _properties(schema, _resolved(schema, schema)):
        said = shape.get("description", "").partition(": ")[2]
        required = shape.get("required", [])
        rows = [
            (code(key), type_words(rule), "needed" if key in required else _default(rule), rule.get("description", ""))
            for key, rule in _properties(schema, shape)
        ]
        parts.append(
            f"## [{name}] {{#{name}}}\n\n{said[:1].upper()}{said[1:]}\n\n"
            + table(["key", "type", "default", "says"], rows)
        )
    return "\n\n".join(parts)


def environment() -> str:
    """Return which variable stands for which setting."""
    return table(["variable", "setting"], [(code(name), code(f"[{t}] {k}")) for name, (t, k) in ENVIRONMENT.items()])


def type_words(rule: Mapping[str, Any]) -> str:  # noqa: PLR0911 - a table
    """Say what a value may be, from its JSON Schema."""
    if "anyOf" in rule:
        return " or ".join(type_words(each) for each in rule["anyOf"] if each.get("type") != "null")
    if "enum" in rule:
        return ", ".join(code(json.dumps(value)) for value in rule["enum"])
    match rule.get("type"):
        case "string":
            return "text"
        case "boolean":
            return "`true`, `false`"
        case "integer":
            return f"whole number{_bounds(rule)}"
        case "number":
            return f"number{_bounds(rule)}"
        case "array":
            return f"list: {type_words(rule.get('items', {}))}"
        case "object":
            return f"table: name = {type_words(rule.get('additionalProperties') or {})}"
        case _:
            return ""


def _bounds(rule: Mapping[str, Any]) -> str:
    least, most = rule.get("minimum"), rule.get("maximum")
    above = rule.get("exclusiveMinimum")
    if above is not None:
        return f" above {above:g}" + (f", at most {most:g}" if most is not None else "")
    if least is None:
        return ""
    return f", {least:g} to {most:g}" if most is not None else f", {least:g} or more"


def _default(rule: Mapping[str, Any]) -> str:
    default = rule.get("default")
    if default is None:
        return ""
    # As TOML has it; a whole number of seconds needs no point.
    return code(json.dumps(int(default) if isinstance(default, float) and default.is_integer() else default))


def _properties(schema: Mapping[str, Any], shape: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, rule in shape["properties"].items():
        yield name, {**_resolved(schema, rule), **{key: rule[key] for key in ("default",) if key in rule}}


def _resolved(schema: Mapping[str, Any], rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule, where it is a reference what that names."""
    reference = rule.get("$ref") or next((each["$ref"] for each in rule.get("anyOf", ()) if "$ref" in each), None)
    found: dict[str, Any] = dict(schema["$defs"][reference.rpartition("/")[2]] if reference else rule)
    return found
