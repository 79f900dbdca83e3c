"""`doit watch` as programs see it: JSON a cycle, a status file, signals."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from deadlines import SECONDS, wait_until
from edge.fake import ACCOUNT, NAMESPACE
from kit import Site
from watch_kit import STATUS, until_status, watching

if TYPE_CHECKING:
    from pathlib import Path

A, B = "dist/a.html", "dist/b.html"
BROKEN = "<html><body><main><p>No title.</p></main></body></html>"


def wait_for_the_first_page(site: Site) -> None:
    def has_a_page() -> bool:
        with contextlib.suppress(sqlite3.OperationalError):  # the table is not there yet
            return bool(site.store.pages)
        return False

    wait_until(has_a_page)


def test_json_is_a_line_a_cycle_and_one_at_the_end(published: Site) -> None:
    with published.start("watch", "--json") as watch:
        watch.until('"event":"cycle"')
        published.page("a", "Edited.")
        cycle = json.loads(watch.until('"sent":1'))
        published.write(B, BROKEN)
        invalid = json.loads(watch.until('b.html.json"'))
        watch.process.send_signal(signal.SIGINT)
        ended = json.loads(watch.until('"event":"ended"'))
        assert watch.end() == 0
    assert (cycle["reasons"], [page["path"] for page in cycle["pages"]]) == ({"changed": 1}, [A])
    assert [problem["about"] for problem in invalid["problems"]] == [".nimbus/maps/dist/b.html.json"]
    assert (ended["sent"], ended["batches"]) == (1, [cycle["batch_id"]])


def test_the_status_file_says_how_the_watch_stands(published: Site) -> None:
    with watching(published, f"--status={STATUS}", fork=False) as watch:
        idle = until_status(published, lambda status: status["state"] == "idle")
        assert idle["pid"] == watch.process.pid
        published.page("a", "Edited.")
        after = until_status(published, lambda status: status["state"] == "idle" and status["sent"] == 1)
        assert after["last"]["pages"][0]["path"] == A
        published.write(B, BROKEN)
        until_status(published, lambda status: [each["about"] for each in status["problems"]] != [])
        assert watch.interrupt() == 0
    assert until_status(published, lambda _: True)["state"] == "ended"


@pytest.mark.parametrize(
    "name", ["dodo.py", "dist", ".nimbus/project.toml", ".nimbus/maps/status.json", "../nowhere/status.json"]
)
def test_a_status_file_never_takes_the_place_of_another_file(published: Site, name: str) -> None:
    before = (published / "dodo.py").read_bytes()
    run = published.doit("watch", f"--status={name}")
    assert run.status == 2
    assert run.out.startswith(f"❌ --status={name}")
    assert run.out.count("\n") == 1
    assert (published / "dodo.py").read_bytes() == before


def test_sigterm_ends_it_as_ctrl_c_does(published: Site) -> None:
    with watching(published, fork=False) as watch:
        watch.process.send_signal(signal.SIGTERM)
        assert watch.end() == 0
    assert "Watch ended after" in watch.lines[-1]


def test_sigterm_ends_one_that_a_script_has_in_the_background(published: Site) -> None:
    # The shell of a script has what it starts with `&` ignore Ctrl-C.
    with subprocess.Popen(
        ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-m", "doit", "watch"],
        cwd=published.folder,
        env=published.environment({}),
        stdout=subprocess.PIPE,
        text=True,
    ) as watch:
        try:
            assert watch.stdout is not None
            while " ms" not in watch.stdout.readline():
                assert watch.poll() is None
            watch.send_signal(signal.SIGINT)
            published.page("a", "Edited after a Ctrl-C that was meant for another.")
            while "dist/a.html in" not in watch.stdout.readline():
                assert watch.poll() is None
            watch.terminate()
            assert watch.wait(SECONDS) == 0
            assert "Watch ended after" in watch.stdout.read()
        finally:
            watch.kill()


def test_ctrl_c_in_the_middle_of_an_upload_loses_nothing(tmp_path: Path) -> None:
    names = [f"page-{number}" for number in range(60)]
    site = Site.with_pages(tmp_path, *names, settings="[upload]\ndelay = 100\nconcurrency = 1\n")
    with site.start("watch") as watch:
        watch.until("Watching dist")
        wait_for_the_first_page(site)
        assert watch.interrupt() == 0
        assert "Traceback" not in "\n".join(watch.lines)
    site.publish()
    paths = [f"dist/{name}.html" for name in names]
    assert sorted(site.store.queue) == sorted(paths)
    assert site.store.active == set(paths)


def test_ctrl_c_twice_ends_it_at_once_even_where_a_store_never_answers(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SECONDS)
        target = {
            "NIMBUS_TARGET": "cloudflare",
            "CLOUDFLARE_API_BASE_URL": f"http://127.0.0.1:{server.getsockname()[1]}/client/v4",
            "CLOUDFLARE_API_TOKEN": "a" * 40,
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
            "KV_NAMESPACE_ID": NAMESPACE,
        }
        with site.start("watch", **target) as watch, server.accept()[0]:
            watch.process.send_signal(signal.SIGINT)
            watch.process.send_signal(signal.SIGINT)
            # Where the second one comes before the first has been heeded, it ends the process where it stands.
            assert watch.end() in (0, 128 + signal.SIGINT)
        assert "Traceback" not in "\n".join(watch.lines)


def test_a_reader_that_goes_away_ends_the_watch_without_a_word(published: Site) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "doit", "watch"],
        cwd=published.folder,
        env=published.environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        while " ms" not in watch.stdout.readline():
            pass
        watch.stdout.close()
        published.page("a", "Edited when nobody reads any more.")
        assert watch.wait(SECONDS) == 0
        assert watch.stderr.read() == ""
    assert published.store.uploads(A) == 2
