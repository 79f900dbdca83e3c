"""What the Gulp plugin knows of the tasks, made from the tasks: tasks.json, commands.d.ts and documents.d.ts.

python tests/gulp/catalogue.py      writes them
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit.loader import generate_tasks

from nimbus_tasks.cli import tasks
from nimbus_tasks.cli.next_steps import GULP_STAGES
from nimbus_tasks.cli.schemas import DOCUMENTS, documents_of

if TYPE_CHECKING:
    from doit.task import Task

PLUGIN = Path(__file__).parents[2] / "gulp"

#: Not for a command line: it reads pages from standard input.
STREAM = "nimbus:stream"
WIDTH = 120
#: Their functions resolve to an object that names the batch.
UPLOADS = ("upload", "nimbus:upload")
TYPES = {"boolean": "boolean", "integer": "number", "string": "string"}


def known_tasks() -> dict[str, Task]:
    """Return every task of ours by its name."""
    made = [task for name in tasks.__all__ if name.startswith("task_") for task in _made(name)]
    return {task.name: task for task in made}


def _made(name: str) -> list[Task]:
    found: list[Task] = generate_tasks(name.removeprefix("task_"), getattr(tasks, name)())
    return found


def catalogue() -> dict[str, Any]:
    """Return what tasks.json holds."""
    known = known_tasks()
    runs = {name: name for name in known if name.startswith("nimbus:") and name != STREAM}
    runs |= {in_gulp: stage for stage, in_gulp in GULP_STAGES.items()}
    return {
        "tasks": [described(known[task], name) for name, task in sorted(runs.items())],
        "stream": described(known[STREAM], STREAM, without="json"),
    }


def described(task: Task, name: str, without: str = "") -> dict[str, Any]:
    names = {bool: "boolean", int: "integer", str: "string"}
    options = [
        {"name": each["long"], "type": names[each["type"]], "description": each["help"]}
        for each in task.params
        if each["name"] != without
    ]
    return {"name": name, "runs": task.name, "description": format(task.doc), "options": options}


def types(known: dict[str, Any]) -> str:
    """Return commands.d.ts."""
    tree: dict[str, Any] = {}
    for task in known["tasks"]:
        *folders, last = (_in_javascript(part) for part in task["name"].split(":")[1:])
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = task
    stream = "\n".join(f"  {line}" for line in _options(known["stream"]))
    return (
        "// Generated from the Python tasks by tests/gulp/catalogue.py.\n\n"
        'import type * as Documents from "./documents";\nimport type { Command, UploadCommand } from "./index";\n\n'
        f"/** Options of the upload in a stream. */\nexport interface PublishOptions {{\n{stream}\n}}\n\n"
        "/** The commands as functions: each returns a task for gulp.series, and is a task itself. */\n"
        "export interface Commands " + "\n".join(_block(tree, "")) + "\n"
    )


def _block(tree: dict[str, Any], indent: str) -> list[str]:
    lines = ["{"]
    for name, value in tree.items():
        if "runs" not in value:
            first, *rest = _block(value, f"{indent}  ")
            lines += [f"{indent}  readonly {name}: {first}", *rest[:-1], f"{rest[-1]};"]
            continue
        lines.append(f"{indent}  /** {value['description']} */")
        lines += _command(name, value, f"{indent}  ")
    return [*lines, f"{indent}}}"]


def _command(name: str, task: dict[str, Any], indent: str) -> list[str]:
    if task["runs"] in UPLOADS:
        options = [f"{indent}  {line}" for line in _options(task)]
        return [f"{indent}readonly {name}: UploadCommand<{{", *options, f"{indent}}}>;"]
    options = [f"{indent}    {line}" for line in _options(task)]
    result = _result(task["runs"])
    head, tail = f"{indent}readonly {name}: Command<", f"{indent}>;"
    return [head, f"{indent}  {{", *options, f"{indent}  }},", f"{indent}  {result}", tail]


def _options(task: dict[str, Any]) -> list[str]:
    return [
        line
        for option in task["options"]
        for line in (
            f"/** {option['description']} */",
            f"{_in_javascript(option['name'])}?: {TYPES[option['type']]} | undefined;",
        )
    ]


def _result(task: str) -> str:
    shapes = [each.shape.__name__ for each in documents_of(task) if not each.lines]
    return " | ".join(f"Documents.{name}" for name in shapes) or "undefined"


def document_types() -> str:
    """Return documents.d.ts."""
    definitions: dict[str, Any] = {}
    for document in DOCUMENTS:
        if document.tasks and not document.lines:
            schema = document.schema()
            definitions |= {document.shape.__name__: schema} | schema["$defs"]
    lines = ["// Generated from the documents that commands print, by tests/gulp/catalogue.py. See docs/documents.md."]
    for name, schema in sorted(definitions.items()):
        required = schema.get("required", ())
        lines += ["", f"export interface {name} {{"]
        for field, value in schema["properties"].items():
            optional = "" if field in required else "?"
            lines += _field(f"{field}{optional}:", _type(value) + (" | undefined" if optional else ""))
        lines.append("}")
    return "\n".join(lines) + "\n"


def _field(name: str, type_: str) -> list[str]:
    """Return a field as Prettier breaks it."""
    if len(line := f"  {name} {type_};") <= WIDTH:
        return [line]
    if len(line := f"    {type_};") <= WIDTH:
        return [f"  {name}", line]
    *members, last = type_.split(" | ")
    return [f"  {name}", *(f"    | {each}" for each in members), f"    | {last};"]


def _type(schema: dict[str, Any]) -> str:
    """Return a JSON Schema as a type of TypeScript."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(each) for each in schema["anyOf"])
    kind = schema.get("type", "unknown")
    if kind == "array":
        items = _type(schema["items"])
        return f"({items})[]" if " " in items else f"{items}[]"
    if kind == "object":
        return f"Record<string, {_type(schema.get('additionalProperties') or {})}>"
    return TYPES.get(kind, kind)


def _in_javascript(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(word.capitalize() for word in rest)


def files() -> dict[Path, str]:
    """Return the files as they should be."""
    known = catalogue()
    text = json.dumps(known, indent=2, ensure_ascii=False)
    return {
        PLUGIN / "tasks.json": f"{text}\n",
        PLUGIN / "commands.d.ts": types(known),
        PLUGIN / "documents.d.ts": document_types(),
    }


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")
