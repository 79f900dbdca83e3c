"""What `doit help TASK` and `doit list` say of every task of ours."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from nimbus_tasks.cli import tasks as ours
from nimbus_tasks.cli.doit import made_tasks
from nimbus_tasks.cli.option_errors import refuse_words

if TYPE_CHECKING:
    from doit.task import Task

STAGES = (ours.task_extract, ours.task_validate, ours.task_upload, ours.task_summarize, ours.task_watch)
TASKS: dict[str, Task] = {task.name: task for task in [*(stage() for stage in STAGES), *ours.task_nimbus()]}
#: Of a terminal.
COLUMNS = 120


def examples(task: Task) -> list[str]:
    """Return the commands below "Examples:", without what is said beside them."""
    lines = str(task.doc).partition("Examples:\n")[2].splitlines()
    return [re.split(r" {2,}", line.strip())[0] for line in lines if line.strip()]


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_one_line_for_the_list_and_examples_of_its_own(name: str) -> None:
    line = format(TASKS[name].doc)
    assert 20 < len(line) <= 85
    assert not line.endswith(".")
    assert all(len(each) <= COLUMNS for each in str(TASKS[name].doc).splitlines())
    assert any(name in example for example in examples(TASKS[name])) or examples(TASKS[name])[0] == "doit"


@pytest.mark.parametrize("name", TASKS)
def test_every_example_is_a_command_that_doit_takes(name: str) -> None:
    known = made_tasks()
    for example in examples(TASKS[name]):
        command = re.search(r"doit\b([^>|)]*)", example)
        assert command, example
        words = shlex.split(command[1])
        if words[:1] == ["clean"]:  # doit's own
            words = words[1:]
        if words:
            assert words[0] in known, example
            assert refuse_words(words[0], known[words[0]][1], words[1:]) is None, example


@pytest.mark.parametrize("name", TASKS)
def test_every_option_is_explained_in_a_sentence(name: str) -> None:
    for option in made_tasks()[name][1]:
        assert option.help
        assert len(f"  {option.form:<24}  {option.help}") <= COLUMNS
