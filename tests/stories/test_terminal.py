"""What a person sees: on a terminal, in a CI log, on a terminal that can show little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kit import SECONDS, Site, Terminal

if TYPE_CHECKING:
    from pathlib import Path

#: Puts so slowly that there is time to press Ctrl-C: it waits for the interrupt itself, not for a clock.
STOPS_AT_THE_FIRST_PUT = """\
import asyncio
from nimbus_tasks import *
from nimbus_tasks.backends.kv.sqlite import SqliteStore

async def put(self, writes, _put=SqliteStore.put):
    stored = await _put(self, writes)
    print("STORED", flush=True)
    await asyncio.Event().wait()

SqliteStore.put = put
"""


@pytest.fixture
def many(tmp_path: Path) -> Site:
    return Site.with_pages(tmp_path, *(f"page-{number:02d}" for number in range(40)))


def test_a_terminal_shows_a_live_bar(many: Site) -> None:
    with Terminal(many, "upload") as terminal:
        assert terminal.end() == 0
    assert "Uploading" in terminal.said
    assert "40/40" in terminal.said
    assert "\x1b[" in terminal.said
    assert "📊 Upload Summary:" in terminal.said


def test_no_color_shows_the_bar_without_colour(many: Site) -> None:
    many.write("dist/broken.html", "<html><body><p>No title</p></body></html>")
    with Terminal(many, "upload", NO_COLOR="1") as terminal:
        assert terminal.end() == 1
    assert "40/4" in terminal.said or "41/41" in terminal.said
    assert "\x1b[31m" not in terminal.said
    assert "\x1b[1;31m" not in terminal.said


def test_a_dumb_terminal_gets_plain_lines(site: Site) -> None:
    with Terminal(site, "upload", TERM="dumb") as terminal:
        assert terminal.end() == 0
    assert "\x1b" not in terminal.said
    assert terminal.said.isascii()


def test_ctrl_c_ends_an_upload_with_130_and_what_was_stored_is_gone_on_with(site: Site) -> None:
    site.write("dodo.py", STOPS_AT_THE_FIRST_PUT)
    with Terminal(site, "upload") as terminal:
        terminal.until("STORED")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert "Interrupted. What was stored is safe; run the same command to continue." in terminal.said
    assert "Traceback" not in terminal.said
    site.write("dodo.py", "from nimbus_tasks import *\n")
    site.publish()
    assert sorted(site.store.queue) == [f"dist/{name}.html" for name in "abc"]


def test_ctrl_c_in_a_log_ends_with_130_too(site: Site) -> None:
    site.write("dodo.py", STOPS_AT_THE_FIRST_PUT)
    with site.start("upload") as run:
        run.until("STORED")
        assert run.interrupt() == 130
    assert "Traceback" not in "\n".join(run.lines)


def test_without_a_terminal_many_pages_are_told_in_quarters(many: Site) -> None:
    run = many.publish()
    steps = [line.strip() for line in run.out.splitlines() if "Uploading: " in line]
    assert steps == [f"Uploading: {n} % ({n * 40 // 100} of 40)" for n in (25, 50, 75)]
    assert "Uploaded: page_" not in run.out
    assert "\x1b" not in run.said


def test_verbose_names_every_page(many: Site) -> None:
    assert many.publish("--verbose").out.count("Uploaded: page_") == 40


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LANG": "C", "PYTHONIOENCODING": "latin-1"}])
def test_a_terminal_without_utf_8_gets_plain_words(site: Site, environment: dict[str, str]) -> None:
    site.page("größe")
    run = site.doit("upload", **environment)
    assert run.status == 0
    assert "* Found 4 files to upload (4 new)" in run.out
    assert "ok [4/4] Uploaded" in run.out
    assert "Upload Summary" in run.out


def test_nothing_but_words_comes_from_a_file_name(site: Site) -> None:
    site.page("\x1b[31mred\x07")
    run = site.doit("upload")
    assert "\x1b" not in run.said
    assert "\x07" not in run.said


def test_github_gets_a_summary_of_the_step(site: Site) -> None:
    site.write("dist/b|c.html", "<html><body><p>No title</p></body></html>")
    assert site.doit("upload", GITHUB_STEP_SUMMARY=str(site / "step.md")).status == 1
    text = (site / "step.md").read_text(encoding="utf-8")
    assert "## Nimbus upload" in text
    assert "| 3 | 0 | 0 | 0 | 0 | 1 | 0 |" in text
    assert "b\\|c.html" in text


def test_github_gets_one_summary_of_a_whole_run(site: Site) -> None:
    assert site.doit(GITHUB_STEP_SUMMARY=str(site / "step.md")).status == 0
    assert (site / "step.md").read_text(encoding="utf-8").count("## Nimbus upload") == 1


def test_no_command_waits_longer_than_a_test_may() -> None:
    assert SECONDS < 600  # timeout in pyproject.toml
