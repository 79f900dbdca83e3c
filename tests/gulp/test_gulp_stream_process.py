"""`nimbus:stream`, which the plugin's stream runs, and `python -m nimbus_tasks`, which runs all commands."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from deadlines import SECONDS
from gulp_project import GulpSite
from hypothesis import given
from hypothesis import strategies as st
from kit import DODO, PROJECT, Run, html, page_id

from nimbus_tasks.cli.stream import input as stream_input
from nimbus_tasks.cli.stream.input import LONGEST_HEADER, MOST_PAGES, StreamedPage, groups, read_pages
from nimbus_tasks.cli.stream.publish import answers
from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.pipeline.extract_file import Extracted
from nimbus_tasks.project.manifest import Pages
from nimbus_tasks.publishing.outcome import Outcome, PageResult
from nimbus_tasks.publishing.plan import Candidate, Plan, Planned

if TYPE_CHECKING:
    from pathlib import Path

A, B = "dist/a.html", "dist/b.html"


@pytest.fixture
def site(tmp_path: Path) -> GulpSite:
    """A project without a dodo.py, whose source folder is still empty."""
    site = GulpSite.new(tmp_path)
    site.remove("dodo.py")
    (site / "dist").mkdir()
    return site


def framed(*pages: tuple[str, str | bytes]) -> bytes:
    parts = []
    for path, content in pages:
        body = content.encode() if isinstance(content, str) else content
        parts += [json.dumps({"path": path, "bytes": len(body)}).encode(), b"\n", body]
    return b"".join(parts)


def stream(site: GulpSite, *pages: tuple[str, str | bytes], options: tuple[str, ...] = ()) -> Run:
    return site.nimbus("nimbus:stream", *options, given=framed(*pages))


def answered(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.out.splitlines()]


def statuses(run: Run) -> list[str]:
    return [answer["status"] for answer in answered(run)]


# --- python -m nimbus_tasks -------------------------------------------------------------------------------


def test_every_command_runs_without_a_dodo_and_beside_one_that_is_somebody_elses(site: GulpSite) -> None:
    site.page("a")
    assert "nimbus:upload" in site.nimbus("list").out
    assert site.nimbus().status == 0
    site.write("dodo.py", "def task_upload():\n    return {'actions': ['exit 9']}\n")
    assert site.nimbus("upload", "--force").status == 0
    assert site.sent() == {A: "forced"}
    assert site.nimbus("nimbus:batch:status", "--batch=batch_20000101_000000").status == 2


# --- frames -----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.text().filter(lambda path: path.isprintable()), st.binary(max_size=200)), max_size=5))
def test_pages_come_out_as_they_went_in(pages: list[tuple[str, bytes]]) -> None:
    assert list(read_pages(io.BytesIO(framed(*pages)))) == [StreamedPage(path, body) for path, body in pages]


@given(st.binary(max_size=200))
def test_any_other_bytes_are_one_error(noise: bytes) -> None:
    try:
        list(read_pages(io.BytesIO(noise)))
    except SourceError as error:
        assert str(error).startswith("Standard input")


@pytest.mark.parametrize("cut", [10, len(framed((A, html()))) - 1])
def test_an_end_within_a_page_is_an_error(cut: int) -> None:
    with pytest.raises(SourceError):
        list(read_pages(io.BytesIO(framed((A, html()))[:cut])))


def test_what_is_too_large_to_be_a_page_is_read_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_input, "LARGEST_PAGE", 100)
    pages = io.BytesIO(framed((A, b"x" * 101), (B, b"x" * 100)))
    assert list(read_pages(pages)) == [StreamedPage(A, None), StreamedPage(B, b"x" * 100)]
    with pytest.raises(SourceError, match="ended within"):
        list(read_pages(io.BytesIO(framed((A, b"x" * 101))[:-1])))
    with pytest.raises(SourceError, match="header"):
        list(read_pages(io.BytesIO(framed(("a" * LONGEST_HEADER, b"")))))


def test_groups_hold_all_pages_and_none_holds_too_many() -> None:
    pages = [(f"{number}.html", b"x") for number in range(MOST_PAGES + 1)]
    sizes = [len(group) for group in groups(io.BytesIO(framed(*pages)))]
    assert sum(sizes) == MOST_PAGES + 1
    assert max(sizes) <= MOST_PAGES


# --- what becomes of a page ---------------------------------------------------------------------------------


def test_each_page_is_answered_in_its_place(site: GulpSite) -> None:
    hidden = html(head='<meta name="robots" content="noindex">')
    pages = [(B, html()), ("../a.html", html()), ("/etc/a.html", html()), ("dist/n.html", hidden), (A, "<p>Untitled")]
    run = stream(site, *pages)
    assert run.status == 1
    assert [answer["path"] for answer in answered(run)] == [path for path, _ in pages]
    assert statuses(run) == ["stored", "invalid", "invalid", "skipped", "invalid"]
    assert site.store.active == {B}
    assert not (site.folder.parent / "a.html.json").exists()
    assert site.summary() == {A: "invalid", B: "stored", "dist/n.html": "skipped"}
    assert {page["path"]: page["result"] for page in site.report()["pages"]} == {A: "invalid", B: "stored"}


def test_a_page_that_may_no_longer_be_indexed_loses_its_map(site: GulpSite) -> None:
    stream(site, (A, html()), (B, html()))
    run = stream(site, (A, html(head='<meta name="robots" content="noindex">')))
    assert statuses(run) == ["skipped"]
    assert sorted(site.maps()) == [".nimbus/maps/dist/b.html.json"]


def test_a_dry_run_says_what_would_be_sent(site: GulpSite) -> None:
    run = stream(site, (A, html()), options=("--dry-run",))
    assert [(answer["status"], answer["reason"]) for answer in answered(run)] == [("waiting", "new")]
    assert "Using batch" not in run.err
    assert "(dry run)" in run.err
    assert site.store.values == {}


def test_what_differs_from_its_file_is_extracted_again_by_doit(site: GulpSite) -> None:
    site.write("dodo.py", DODO)
    site.page("a", "As it is on the disk.")
    site.publish()
    assert statuses(stream(site, (A, html("As it was in memory.")))) == ["stored"]
    assert "in memory" in site.store.text(A)
    site.publish()
    assert "on the disk" in site.store.text(A)


def test_what_is_as_it_lies_on_the_disk_is_not_extracted_again_by_doit(site: GulpSite) -> None:
    site.write("dodo.py", DODO)
    site.page("a")
    site.publish()
    site.remove(".nimbus/maps/dist/a.html.json")
    assert statuses(stream(site, (A, (site / A).read_text()))) == ["unchanged"]
    assert "-- extract" in site.publish().out  # up to date


def test_settings_that_changed_make_doit_extract_all_again(site: GulpSite) -> None:
    site.write("dodo.py", DODO)
    site.page("a")
    site.page("b")
    site.publish()
    site.settings(ignore='["p"]')
    stream(site, (A, (site / A).read_text()))
    assert "Extracted 2 files" in site.publish().out
    assert "All about" not in site.store.text(B)


def test_pages_of_another_folder_are_maps_of_another_tool(site: GulpSite) -> None:
    site.write("dodo.py", DODO)
    site.page("a")
    stream(site, ("made/x.html", html()))
    site.publish()
    assert site.store.active == {A, "made/x.html"}


def test_what_the_settings_do_not_call_a_page_is_skipped_and_leaves_no_map(site: GulpSite) -> None:
    site.settings(exclude='["drafts/"]')
    stylesheet = ".nimbus/maps/dist/style.css.json"
    site.write(stylesheet, '{"path": "dist/style.css"}')  # as older versions left one
    others = ("dist/style.css", "made/logo.svg", "dist/drafts/x.html")
    run = stream(site, *((path, html()) for path in others), (A, html()), ("made/drafts/x.html", html()))
    assert run.status == 0, run.said
    assert statuses(run) == ["skipped"] * 3 + ["stored"] * 2
    unnamed = "[source] include does not name it"
    assert [answer["reason"] for answer in answered(run)[:3]] == [unnamed, unnamed, "[source] exclude names it"]
    assert sorted(site.maps()) == [f".nimbus/maps/{path}.json" for path in (A, "made/drafts/x.html")]
    assert site.nimbus("nimbus:upload").status == 0


def test_a_killed_stream_leaves_no_map_that_passes_for_its_files(site: GulpSite) -> None:
    site.write("dodo.py", DODO)
    site.page("a", "As it is on the disk.")
    site.publish()
    # As it is left by a kill between the maps and the manifest: the entry was taken back before.
    script = (
        "import os\n"
        "from nimbus_tasks.pipeline import extract_stream as arriving\n"
        "from nimbus_tasks.project import settings\n"
        "from nimbus_tasks.pipeline.snapshot import scan_maps\n"
        "from pathlib import Path\n"
        "real = arriving.extract_html\n"
        "def killed(*given):\n"
        "    real(*given)\n"
        "    os._exit(9)\n"
        "arriving.extract_html = killed\n"
        f"pages = [({A!r}, {html('In memory.').encode()!r})]\n"
        "arriving.extract_stream(settings.load(Path()), scan_maps(), pages)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=site.folder, timeout=SECONDS, check=False).returncode == 9
    site.publish()
    assert "on the disk" in site.store.text(A)


def test_words_that_are_no_page_end_with_one_line(site: GulpSite) -> None:
    run = site.nimbus("nimbus:stream", given=b"<html>")
    assert run.status == 2
    assert "Standard input, page 1: its header cannot be read" in run.err
    assert run.out == ""


def test_a_target_that_cannot_be_used_ends_it_while_more_pages_may_come(site: GulpSite) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "nimbus_tasks", "nimbus:stream"],
        cwd=site.folder,
        env=site.environment({"NIMBUS_TARGET": "gateway", "NIMBUS_WORKER_URL": "http://127.0.0.1:1"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(framed((A, html())))
        process.stdin.flush()  # and stays open
        assert process.wait(SECONDS) == 2
        assert process.stdout.read() == b""
        assert process.stderr.read().count(b"\n") == 1


def test_what_was_not_sent_when_the_target_went_away_is_answered_as_failed() -> None:
    extracted = [Extracted(path, f"maps/{path}.json") for path in (A, B)]
    pages = [Candidate(page_id(path), path, f"maps/{path}.json", "digest", 1) for path in (A, B)]
    plan = Plan(tuple(Planned(page, "new") for page in pages), (), (), 0, (), "")
    outcome = Outcome("gateway", "", "", pages=[PageResult(A, page_id(A), "new", "stored")], stopped="It went away.")
    told = answers(PROJECT, extracted, Pages(), plan, outcome)
    assert [(each.status, each.reason) for each in told] == [("stored", "new"), ("failed", "It went away.")]


def test_nobody_who_reads_the_answers_is_one_line(site: GulpSite) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "nimbus_tasks", "nimbus:stream"],
        cwd=site.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdout.close()
        process.stdin.write(framed((A, html())))
        process.stdin.close()
        said = process.stderr.read().decode()
        assert process.wait(SECONDS) == 2
    assert "no one reads the answers" in said
    assert "Traceback" not in said
