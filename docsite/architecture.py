"""The rooms and who may know whom: from the contracts that import-linter checks, and each room's own words."""

from __future__ import annotations

import ast
import inspect
import tomllib
from pathlib import Path
from typing import Any

from docsite.markdown import code, table

_ROOT = Path(__file__).parents[1]
_CONTRACTS = "contracts"


def contracts() -> list[dict[str, Any]]:
    """Return the contracts of import-linter, as pyproject.toml has them."""
    with (_ROOT / "pyproject.toml").open("rb") as file:
        found: list[dict[str, Any]] = tomllib.load(file)["tool"]["importlinter"][_CONTRACTS]
    return found


def layers() -> str:
    """Return each layer, the highest first, with what its rooms say of themselves."""
    [contract] = [each for each in contracts() if each["type"] == "layers"]
    parts = []
    for number, layer in enumerate(contract["layers"], 1):
        rows = [
            (str(number) if index == 0 else "", code(_shown(room)), summary(room))
            for index, room in enumerate(map(str.strip, layer.split("|")))
        ]
        parts += rows
    return table(["layer", "room", "what it is"], parts)


def rules() -> str:
    """Return the other contracts: which rooms must not know what."""
    rows = []
    for each in contracts():
        if each["type"] == "layers":
            continue
        rooms = each.get("source_modules") or each["modules"]
        allowed = ", ".join(code(_shown(line.partition(" -> ")[0])) for line in each.get("ignore_imports", ()))
        named = ", ".join(code(_shown(room)) for room in rooms)
        kept = ", ".join(code(_shown(name)) for name in each.get("forbidden_modules", ())) or "each other"
        rows.append((each["name"], named, kept, allowed))
    return table(["rule", "these rooms", "do not import", "but"], rows)


def summary(room: str) -> str:
    """Return the first sentence of a module's docstring, as one line; nothing where it has none."""
    path = _ROOT / room.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    said = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return " ".join(inspect.cleandoc(said).partition("\n\n")[0].split())


def _shown(room: str) -> str:
    return room.removeprefix("nimbus_tasks.")
