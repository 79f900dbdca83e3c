"""Documents for programs: on standard output if asked, and on a pipe for the program that started us."""

from __future__ import annotations

import json
import os

import pytest

from nimbus_tasks.cli.json_output import RESULT, SkippedSource, give_document

DOCUMENT = SkippedSource("a.html", "noindex", failed=False)


def test_a_document_is_printed_only_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    give_document(DOCUMENT, as_json=False)
    assert capsys.readouterr().out == ""
    give_document(DOCUMENT, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"path": "a.html", "reason": "noindex", "failed": False}


def test_the_program_that_started_us_gets_each_document_on_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    monkeypatch.setenv(RESULT, str(writer))
    give_document(DOCUMENT, as_json=False)
    give_document(DOCUMENT, as_json=False)
    os.close(writer)
    with open(reader, encoding="utf-8") as lines:
        assert [json.loads(line)["path"] for line in lines] == ["a.html", "a.html"]
    assert capsys.readouterr().out == ""


def test_a_program_that_has_ended_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setenv(RESULT, str(writer))
    give_document(DOCUMENT, as_json=False)
    os.close(writer)
