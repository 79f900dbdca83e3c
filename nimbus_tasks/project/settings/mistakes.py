"""Errors in a project file: they name the file, the key and what is allowed there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.keys import NamespaceName
from nimbus_tasks.model.suggest import nearest
from nimbus_tasks.project.settings.tables import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: Lower than for task names: the keys are few and differ clearly.
_ALIKE = 0.4
_TEXT = 'a text: "..."'
_TWICE = re.compile(r"(?:Cannot declare .* twice|Cannot overwrite a value) \(at line (\d+)")
_HEADER = re.compile(r"\s*\[\s*([\w.-]+)\s*\]")
_KEY = re.compile(r"\s*([\w-]+)\s*=")


def invalid_toml(file: str, text: str, message: str) -> SettingsError:
    """Return the error for a text that is not TOML. What is declared twice is named with its first line."""
    if found := _TWICE.match(message):
        declared = list(_declared(text.split("\n")[: int(found[1])]))
        name, first = declared[-1], declared.index(declared[-1]) + 1
        if name and first < len(declared):
            hint = "Put its keys there." if name.endswith("]") else "Keep one of them."
            return SettingsError(f"{file}, line {len(declared)}: {name} is in line {first} already.", hint)
    return SettingsError(f"{file} is not valid TOML: {message}.")


def refuse_unknown_keys(file: str, tables: Mapping[str, Any]) -> None:
    """Check all names in a project file except those that the user chooses (facts of `[dimensions]`).

    Raises:
        SettingsError: a name is unknown; names the nearest known one.
    """
    known = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    _check_names(file, tables, list(known), where="table")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{file}: `{name}` must be a table: [{name}].")
        keys = [field.name for field in msgspec.structs.fields(known[name])]
        _check_names(file, table, keys, where=f"key in [{name}]")
    namespaces = tables.get("target", {}).get("namespaces")
    if isinstance(namespaces, dict):
        _check_names(file, namespaces, list(get_args(NamespaceName)), where="name in [target.namespaces]")


def refuse_unknown_variables(prefix: str, known: Sequence[str], environment: Iterable[str]) -> None:
    """Check the variables that begin with a prefix.

    Raises:
        SettingsError: a name is unknown; names the nearest known one.
    """
    names = [f"{prefix}{name.upper()}" for name in known]
    for name in environment:
        if name.startswith(prefix) and name not in names:
            meant = nearest(name, names, alike=_ALIKE)
            raise SettingsError(
                f"The variable {_shown(name)} is unknown.", f"Did you mean {meant}?" if meant else "See [server]."
            )


def wrong_value(file: str, message: str, tables: Mapping[str, Any]) -> SettingsError:
    """Return the error for msgspec's "Expected `int`, got `str` - at `$.upload.delay`", in the terms of the file."""
    problem, _, path = message.partition(" - at `$.")
    table, _, key = path.rstrip("`").partition(".")
    # For an item of a list or table the whole is named: `retry_delays[1]`, `namespaces[...]`.
    key = key.partition("[")[0]
    if (table, key) == ("project", "id") or "missing required field" in problem:
        return SettingsError(
            f"{file}: [project] needs an id of the form proj_ + 12 hex digits.",
            "Restore the file, or remove it and run: doit nimbus:project:init",
        )
    return not_allowed(f"{file}: [{table}] {key}", table, key, tables[table].get(key))


def not_allowed(where: str, table: str, key: str, given: object) -> SettingsError:
    """Return the error for a setting whose value is not allowed. where: it was given."""
    allowed = _type_of(table, key)
    problem = f"{where} must be {' or '.join(map(_words, allowed))}."
    names = [str(name) for each in allowed if isinstance(each, msgspec.inspect.LiteralType) for name in each.values]
    meant = nearest(given, names) if isinstance(given, str) else ""
    return SettingsError(problem, f"Did you mean `{meant}`?" if meant else "")


def _declared(lines: Iterable[str]) -> Iterator[str]:
    """Yield what each line of a file declares: `[table]`, `[table] key`, or nothing."""
    table = ""
    for line in lines:
        if header := _HEADER.match(line):
            table = f"[{header[1]}]"
            yield table
        else:
            key = _KEY.match(line)
            yield f"{table} {key[1]}".strip() if key else ""


def _check_names(file: str, given: Mapping[str, Any], known: list[str], where: str) -> None:
    for name in given:
        if name not in known:
            meant = nearest(name, known, alike=_ALIKE)
            hint = f"Did you mean `{meant}`?" if meant else f"Known: {', '.join(known)}."
            raise SettingsError(f"{file}: unknown {where}: `{_shown(name)}`.", hint)


def _type_of(table: str, key: str) -> list[msgspec.inspect.Type]:
    """Return the types that a setting may have, names before numbers."""
    found: msgspec.inspect.Type = msgspec.inspect.type_info(Settings)
    for name in (table, key):
        (struct,) = _plain(found)
        fields = struct.fields  # type: ignore[attr-defined]  # tables are structs
        found = next(field.type for field in fields if field.name == name)
    return sorted(_plain(found), key=lambda each: not isinstance(each, msgspec.inspect.LiteralType))


def _words(allowed: msgspec.inspect.Type) -> str:
    """Return which values are allowed, in the terms of TOML."""
    match allowed:
        case msgspec.inspect.LiteralType(values=values):
            return f"one of {', '.join(str(value) for value in values if value != '')}"
        case msgspec.inspect.IntType() as number:
            return f"a whole number{_bounds(number)}"
        case msgspec.inspect.FloatType() as number:
            return f"a number{_bounds(number)}"
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.VarTupleType(item_type=each):
            words = _words(*_plain(each))
            if words == _TEXT:
                return 'a list of texts: ["..."]'
            return re.sub(r"^a (whole )?number", r"a list of \1numbers", words)
        case msgspec.inspect.DictType():
            return 'a table of texts: name = "..."'
        case _:
            return _TEXT


def _bounds(number: Any) -> str:
    """Return the bounds of a number."""
    bounds = [("above", getattr(number, "gt", None)), ("from", number.ge)]
    least = next((f" {word} {bound:g}" for word, bound in bounds if bound is not None), "")
    if number.le is None:
        return f"{least} on" if least.startswith(" from") else least
    return f"{least} to {number.le:g}" if least.startswith(" from") else f"{least}, at most {number.le:g}"


def _plain(allowed: msgspec.inspect.Type) -> list[msgspec.inspect.Type]:
    """Return the alternatives of a type without their descriptions and without None."""
    if isinstance(allowed, msgspec.inspect.Metadata):
        return _plain(allowed.type)
    if isinstance(allowed, msgspec.inspect.UnionType):
        return [each for some in allowed.types for each in _plain(some)]
    return [] if isinstance(allowed, msgspec.inspect.NoneType) else [allowed]


def _shown(name: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", name)[:60]
