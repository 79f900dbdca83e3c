"""Messages name commands that the reader can type: those of doit, of Gulp, or with a prefix."""

from __future__ import annotations

import pytest

from nimbus_tasks.cli import next_steps, tasks
from nimbus_tasks.cli.doit import task as doit_tasks
from nimbus_tasks.cli.next_steps import GULP_STAGES, RUNNER, as_typed
from nimbus_tasks.model.errors import NoProjectError


@pytest.mark.parametrize(
    ("message", "in_gulp"),
    [
        ("Run: doit nimbus:project:init", "Run: gulp nimbus:project:init"),
        ("To retry them: doit nimbus:batch:retry --batch=b", "To retry them: gulp nimbus:batch:retry --batch=b"),
        ("doit upload --force sends its pages again.", "gulp nimbus:publish --force sends its pages again."),
        ("None yet: run doit upload.", "None yet: run gulp nimbus:publish."),
        ("run doit, then doit nimbus:process", "run gulp nimbus:summarize, then gulp nimbus:process"),
        ("   Next: doit", "   Next: gulp nimbus:summarize"),
        ("doit nimbus:apply --accepted, then doit", "gulp nimbus:apply --accepted, then gulp nimbus:summarize"),
        ("finds `doit extract` there", "finds `gulp nimbus:extract` there"),
        ("All tasks: doit list", "All tasks: gulp --tasks"),
        ("Its options: doit help nimbus:upload", "Its options: gulp --tasks"),
    ],
)
def test_gulp_users_read_commands_of_gulp(message: str, in_gulp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_typed(message) == message
    monkeypatch.setenv(RUNNER, "gulp")
    assert as_typed(message) == in_gulp


@pytest.mark.parametrize("text", ["src/doit upload/a.html", "doit upload.html - no title", "doit's options", "doit it"])
def test_what_is_no_command_stays(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNNER, "gulp")
    assert as_typed(text) == text


def test_the_first_error_of_a_new_user_of_gulp_names_gulp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNNER, "gulp")
    assert as_typed(str(NoProjectError())).endswith("Run: gulp nimbus:project:init")


def test_prefixed_tasks_are_named_with_their_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[next_steps.Named] = []
    monkeypatch.setattr(next_steps, "made", made)
    monkeypatch.setattr(doit_tasks, "made", made)
    assert as_typed("Run: doit upload") == "Run: doit upload"
    list(tasks.prefixed("site"))
    assert as_typed("Run: doit upload, or doit nimbus:process") == "Run: doit site:upload, or doit nimbus:process"
    tasks.task_upload()
    assert as_typed("Run: doit upload") == "Run: doit upload"


def test_each_stage_has_a_name_in_gulp() -> None:
    stages = {name.removeprefix("task_") for name in tasks.__all__ if name.startswith("task_")}
    assert set(GULP_STAGES) == stages - {"_validate", "nimbus"}
