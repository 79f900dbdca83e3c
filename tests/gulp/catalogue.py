"""What the Gulp plugin knows of the tasks, made from the tasks: tasks.json and commands.d.ts.

python tests/gulp/catalogue.py      writes both
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit.loader import generate_tasks

from nimbus_tasks.cli import tasks
from nimbus_tasks.cli.next_steps import GULP_STAGES

if TYPE_CHECKING:
    from doit.task import Task

PLUGIN = Path(__file__).parents[2] / "gulp"

#: Not for a command line: it reads pages from standard input.
STREAM = "nimbus:stream"
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
        'import type { Command } from "./index";\n\n'
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
        lines += [f"{indent}  /** {value['description']} */", f"{indent}  readonly {name}: Command<{{"]
        lines += [f"{indent}    {line}" for line in _options(value)]
        lines.append(f"{indent}  }}>;")
    return [*lines, f"{indent}}}"]


def _options(task: dict[str, Any]) -> list[str]:
    return [
        line
        for option in task["options"]
        for line in (
            f"/** {option['description']} */",
            f"{_in_javascript(option['name'])}?: {TYPES[option['type']]} | undefined;",
        )
    ]


def _in_javascript(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(word.capitalize() for word in rest)


def files() -> dict[Path, str]:
    """Return both files as they should be."""
    known = catalogue()
    text = json.dumps(known, indent=2, ensure_ascii=False)
    return {PLUGIN / "tasks.json": f"{text}\n", PLUGIN / "commands.d.ts": types(known)}


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")
