"""What is wrong with a command line is said in one line."""

from __future__ import annotations

import getopt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.cli.option_errors import (
    Option,
    check_interval,
    refuse_name,
    refuse_task,
    refuse_value,
    refuse_variable,
    refuse_words,
)
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.suggest import meant_tasks, nearest, tasks_below

OPTIONS = (
    Option("limit", int),
    Option("delay", int),
    Option("batch", str),
    Option("rate", float),
    Option("dry-run", bool),
    Option("json", bool),
    Option("shell", str, ("bash", "zsh")),
)
TASKS = (
    "upload",
    "nimbus:upload",
    "nimbus:batch:list",
    "nimbus:batch:status",
    "nimbus:project:init",
    "nimbus:key:list",
)


def said(*words: str) -> str:
    return str(refuse_words("upload", OPTIONS, words) or "")


@pytest.mark.parametrize(
    "words", [(), ("--limit=5",), ("--limit", "5", "other", "--wrong"), ("--li=5", "--dry-run"), ("--shell=zsh",)]
)
def test_what_doit_takes_is_not_refused(words: tuple[str, ...]) -> None:
    assert said(*words) == ""


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("--limt=5", "upload has no option --limt. Did you mean --limit?  Its options: doit help upload"),
        ("--zzzzzz", "upload has no option --zzzzzz. Its options: doit help upload"),
        ("--d", "upload --d may mean --delay or --dry-run. Its options: doit help upload"),
        ("-n", "upload has no option -n. Its options: doit help upload"),
        ("-d", "upload has no option -d. Its options: doit help upload"),
        ("--limit", "upload --limit needs a value. Such as --limit=5"),
        ("--json=1", "upload --json takes no value."),
        ("--limit=", "upload --limit: `` is not a whole number. Such as --limit=5"),
        ("--rate=x", "upload --rate: `x` is not a number. Such as --rate=..."),
        ("--shell=zsch", "upload --shell must be one of bash, zsh. Did you mean zsh?"),
        ("--shell=csh-like", "upload --shell must be one of bash, zsh."),
        ("--shell", "upload --shell needs a value. Such as --shell=bash"),
        (f"--{'x' * 100}", f"upload has no option --{'x' * 60}.... Its options: doit help upload"),
    ],
)
def test_a_wrong_option_is_named_with_the_right_one(word: str, line: str) -> None:
    assert said(word) == line


def test_a_task_without_options_says_so() -> None:
    assert str(refuse_words("extract", (), ["--force"])) == "extract has no option --force. It takes none."


def test_an_option_that_was_taken_for_a_value_is_seen() -> None:
    assert said("--batch", "--json") == "upload --batch needs a value. Such as --batch=..."
    assert said("--batch", "--not-ours") == ""


@pytest.mark.parametrize("words", [["--batch"], ["--batch", "--json"]])
def test_a_value_that_doit_took_for_a_variable_is_named_in_the_form_that_works(words: list[str]) -> None:
    refused = refuse_words("upload", OPTIONS, words, [("unit", "celsius")])
    hint = "Join them: --batch=unit=celsius  doit takes `unit=celsius` alone for a variable."
    assert str(refused) == f"upload --batch needs a value. {hint}"


@given(st.lists(st.text(max_size=12), max_size=5))
def test_any_words_get_an_answer_and_doit_refuses_what_is_refused(words: list[str]) -> None:
    refused = refuse_words("upload", OPTIONS, words)
    assert refused is None or (refused.exit_status == 2 and str(refused).isprintable())
    try:
        getopt.getopt(words, "", ["limit=", "delay=", "batch=", "rate=", "dry-run", "json", "shell="])
    except getopt.GetoptError:
        assert refused is not None


def test_a_variable_where_an_option_was_meant_is_turned_into_one() -> None:
    assert str(refuse_variable("upload", OPTIONS[0], "5")).endswith("Did you mean --limit=5?")
    assert (
        str(refuse_variable("upload", OPTIONS[4], "1"))
        == "upload: `dry_run=1` is not an option. Did you mean --dry-run?"
    )


def test_a_flag_takes_any_value_from_a_configuration() -> None:
    assert refuse_value("upload", OPTIONS[5], "yes") is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("uplaod", "Did you mean upload?"),
        ("batch:status", "Did you mean nimbus:batch:status?"),
        ("list", "Did you mean nimbus:batch:list or nimbus:key:list?"),
        ("nimbus:batch", "There are nimbus:batch:list, nimbus:batch:status"),
        ("xyz", "All tasks: doit list"),
    ],
)
def test_a_task_that_there_is_not_is_answered_with_what_was_meant(name: str, hint: str) -> None:
    error = refuse_task(name, TASKS)
    assert error.message == f"There is no task `{name}`."
    assert error.next_step.startswith(hint)
    assert error.next_step.endswith("All tasks: doit list")


def test_of_many_tasks_only_some_are_named() -> None:
    assert ", ...  All tasks" in str(refuse_task("nimbus", [f"nimbus:{letter}" for letter in "abcdefgh"]))


@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=8))
def test_what_is_meant_is_always_a_name_that_there_is(name: str, known: list[str]) -> None:
    assert nearest(name, known) in ["", *known]
    assert set(meant_tasks(name, known)) <= set(known)
    assert set(tasks_below(name, known)) <= set(known)


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("dry-run", ["dry_run", "limit"], "Did you mean dry_run?"),
        ("zzzz", ["limit", "dry_run"], "Its options: dry_run, limit"),
        ("limit", [], "It takes none."),
    ],
)
def test_a_wrong_name_in_a_configuration_is_told_with_the_right_ones(name: str, known: list[str], hint: str) -> None:
    assert str(refuse_name("upload", known, name)) == f"upload has no option `{name}`. {hint}"


@pytest.mark.parametrize("interval", [99, 0, -1])
def test_an_interval_has_a_least_length(interval: int) -> None:
    check_interval(100, 100)
    with pytest.raises(SettingsError, match=f"--interval={interval} is too short.*100 milliseconds"):
        check_interval(interval, 100)
