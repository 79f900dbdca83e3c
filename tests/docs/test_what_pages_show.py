"""The commands and files on the pages work as shown. What cannot be run here says why."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
import yaml
from blocks import INCLUDED, Block, blocks_of, pages
from deadlines import SECONDS
from reader import PROJECT_FILE, REPOSITORY, Reader, difference, toml

from nimbus_tasks.project.settings import parse

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = [block for page in pages() for block in blocks_of(page)]
#: Reasons for not running a block. A new reason is a decision, made here.
REASONS = {
    "needs an account",
    "needs an account's token",
    "needs an endpoint that is paid",
    "runs until Ctrl-C",
    "needs a terminal",
    "needs the server above",
    "needs Docker",
    "needs root and systemd",
    "tests/deploy runs these scripts",
    "installs from PyPI",
    "installs from npm and PyPI",
    "tests/gulp runs these with the real Gulp 4 and 5",
    "tests/examples runs these with the real generators",
}
PAGES_WITH_COMMANDS = sorted({block.page for block in BLOCKS if block.language == "console" and not block.not_run})


def each(language: str) -> pytest.MarkDecorator:
    chosen = [block for block in BLOCKS if block.language == language and not block.text.startswith(INCLUDED)]
    return pytest.mark.parametrize("block", chosen, ids=lambda block: block.where)


@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS)
def test_the_commands_of_a_page_print_what_it_shows(page: str, tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    if "<!-- begin: without a project -->" in (REPOSITORY / "docs" / page).read_text(encoding="utf-8"):
        reader.has_no_project()
    for block in blocks_of(page):
        if block.not_run or block.text.startswith(INCLUDED):
            continue
        if block.title:
            reader.write(block)
        if block.language == "console":
            _type_all(reader, block)


def _type_all(reader: Reader, block: Block) -> None:
    for number, command in enumerate(block.commands, 1):
        answer = reader.type(command)
        expected = block.status if number == len(block.commands) else 0
        assert answer.status == expected, f"{block.where}: {command.line}\n{answer.printed}"
        assert "Traceback" not in answer.printed, f"{block.where}: {command.line}\n{answer.printed}"
        wrong = difference(command.printed, answer.printed)
        assert not wrong, f"{block.where}: {command.line}\n{wrong}"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.not_run], ids=lambda block: block.where)
def test_a_block_that_is_not_run_gives_a_known_reason(block: Block) -> None:
    assert block.not_run.partition(";")[0] in REASONS
    assert block.language in ("console", "sh")


def test_every_block_is_in_a_tested_language() -> None:
    tested = {"console", "toml", "python", "yaml"}
    # Drawn in the browser; a file for the commands that follow; run by tests/examples and tests/gulp.
    tested |= {"mermaid", "html", "makefile", "just", "js"}
    untested = [block.where for block in BLOCKS if block.language not in tested and not block.not_run]
    assert not untested


@each("toml")
def test_settings_on_a_page_are_valid(block: Block) -> None:
    if block.title in ("", PROJECT_FILE):
        tables = {"project": {"id": "proj_0123456789ab"}} | tomllib.loads(block.text)
        parse(toml(tables), {})
    else:
        tomllib.loads(block.text)


@each("python")
def test_python_on_a_page_runs(block: Block, tmp_path: Path) -> None:
    ast.parse(block.text)
    if not block.title:  # the commands of the page run a file
        done = subprocess.run(
            [sys.executable, "-c", block.text],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@each("yaml")
def test_yaml_on_a_page_is_valid(block: Block) -> None:
    assert yaml.safe_load(block.text)


@pytest.mark.parametrize(
    ("said", "printed"),
    [
        (["one", "…", "three"], "one\ntwo\nthree\n"),
        (["Batch batch_20261121_040501 in 12 ms"], "Batch batch_20300101_000000 in 7 ms\n"),
        (["one", "…"], "one\ntwo\n"),
        ([], "anything\n"),
    ],
)
def test_a_page_may_leave_out_lines_that_it_marks(said: list[str], printed: str) -> None:
    assert difference(said, printed) == ""


@pytest.mark.parametrize(
    ("said", "printed"),
    [(["one", "three"], "one\ntwo\nthree\n"), (["one"], "one\ntwo\n"), (["two", "one"], "one\ntwo\n"), (["one"], "")],
)
def test_a_line_that_is_shown_but_not_printed_is_found(said: list[str], printed: str) -> None:
    assert difference(said, printed) != ""
