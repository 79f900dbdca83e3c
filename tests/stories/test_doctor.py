"""`doit nimbus:doctor`: whatever is broken, it says what and what to do, and changes nothing."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from edge.fake import Fake
from edge.workerd import Workerd, needs_workerd
from kit import PROJECT, Site, ended
from remote import Cloudflare, Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit import Run


def files_of(site: Site) -> dict[Path, bytes]:
    """Return every file that the doctor must leave alone. doit's own state and SQLite's index of a log are not."""
    nimbus = site / ".nimbus"
    spared = ("doit.db", "-shm", "-wal")
    return {file: file.read_bytes() for file in nimbus.rglob("*") if file.is_file() and not file.name.endswith(spared)}


def found(run: Run) -> list[tuple[str, str, str]]:
    return [(each["check"], each["level"], each["message"]) for each in run.json["checks"]]


def wrong(run: Run) -> list[tuple[str, str]]:
    """Return the messages of what is not well, with what to do."""
    return [(each["message"], each.get("next_step", "")) for each in run.json["checks"] if each["level"] != "ok"]


def test_a_published_site_is_well_and_stays_as_it_is(published: Site) -> None:
    before, store = files_of(published), published.store
    run = published.doit("nimbus:doctor")
    assert run.status == 0
    assert "Ready to upload" in run.out
    assert f"versions     nimbus-tasks {metadata.version('nimbus-tasks')}, Python 3." in run.out
    assert "3 pages in the queue" in run.out
    assert (files_of(published), published.store) == (before, store)


def test_json_is_one_document_with_every_check(published: Site) -> None:
    run = published.doit("nimbus:doctor", "--json")
    assert run.json["well"] is True
    assert [check for check, _, _ in found(run)].count("store") == 1
    assert {check for check, _, _ in found(run)} >= {
        "settings", "source", "credentials", "store", "queue", "permissions", "disk", "ledger", "versions",
    }  # fmt: skip


def test_without_a_project_it_says_how_to_make_one(empty: Site) -> None:
    run = empty.doit("nimbus:doctor")
    assert run.status == 2
    assert "No project here." in run.out
    assert "doit nimbus:project:init" in run.out
    assert not (empty / ".nimbus").exists()


def test_before_the_first_upload_it_makes_nothing(site: Site) -> None:
    run = site.doit("nimbus:doctor")
    assert run.status == 0
    assert "the first upload creates it" in run.out
    assert not (site / ".nimbus/kv.db").exists()


def test_whatever_is_broken_at_once_is_told_and_nothing_is_a_traceback(published: Site) -> None:
    """The kit refuses a traceback in what a command says."""
    published.settings("[uplaod]\ndelay = 1")
    for name in ("kv.db", "ledger.db"):
        published.remove_database(name)
        published.write(f".nimbus/{name}", "no database" * 500)
    published.write(".nimbus/manifest/site.db", "{" * 200)
    published.write(".nimbus/credentials.toml", 'NIMBUS_API_KEY = "sk_live_5ecre7"\n')
    (published / ".nimbus/credentials.toml").chmod(0o644)
    published.write(".nimbus/.gitignore", "kv.db\n")
    run = published.doit("nimbus:doctor", "--json")
    assert run.status == 2
    told = dict(wrong(run))
    assert "Did you mean `upload`?" in told.values()
    assert "Run: chmod 600 .nimbus/credentials.toml" in told.values()
    assert sum("cannot be read: file is not a database" in message for message in told) == 2
    assert any("manifest/site.db" in message for message in told)
    assert any("may be committed" in message for message in told)
    assert "5ecre7" not in run.said


def test_a_source_folder_that_is_not_there_or_empty_is_a_problem(site: Site) -> None:
    site.settings(folder='"html"')
    assert ("There is no folder `html` ([source] folder).", True) in [
        (message, bool(step)) for message, step in wrong(site.doit("nimbus:doctor", "--json"))
    ]
    (site / "html").mkdir()
    run = site.doit("nimbus:doctor", "--json")
    assert run.status == 2
    assert any("No file in `html` matches [source] include" in message for message, _ in wrong(run))


def test_quietly_it_says_only_what_is_wrong(site: Site) -> None:
    assert site.doit("nimbus:doctor", "--quiet").said == ""
    site.settings(folder='"html"')
    run = site.doit("nimbus:doctor", "--quiet")
    assert [line.split()[1] for line in run.out.splitlines()][:1] == ["source"]


def test_a_key_for_the_model_is_asked_for_where_one_is_used(site: Site) -> None:
    site.settings('[process]\noptimiser = "openai"')
    run = site.doit("nimbus:doctor", "--json")
    assert any("NIMBUS_AI_KEY is not set" in message for message, _ in wrong(run))
    assert site.doit("nimbus:doctor", NIMBUS_AI_KEY="key-of-a-model").status == 0


def without_privileges(site: Site, *arguments: str) -> Run:
    """Run doit so that the mode of a folder counts, for root too."""
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    return ended([*drop, sys.executable, "-m", "doit", *arguments], site.folder, site.environment({}))


@pytest.fixture
def read_only(published: Site) -> Iterator[Site]:
    modes = {path: path.stat().st_mode for path in (published / ".nimbus", *(published / ".nimbus").rglob("*"))}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    yield published
    for path, mode in modes.items():
        path.chmod(mode)


def test_a_folder_that_is_not_writable_is_a_problem_and_no_database_has_to_move(read_only: Site) -> None:
    run = without_privileges(read_only, "nimbus:doctor")
    assert run.status == 2
    assert f".nimbus/ is not writable by user {os.geteuid()}." in run.out
    assert "Run: chmod -R u+rwX .nimbus" in run.out
    assert ".nimbus/kv.db is not writable." in run.out
    assert "Move it away" not in run.out


@pytest.mark.parametrize(
    "command", ["", "upload", "upload --force", "summarize", "nimbus:reconcile", "nimbus:batch:report"]
)
def test_a_command_in_a_folder_that_is_not_writable_ends_with_one_line(read_only: Site, command: str) -> None:
    run = without_privileges(read_only, *command.split())
    assert run.status == 2
    (line,) = [line for line in run.said.splitlines() if not line.startswith("-- ")]
    assert ".nimbus/" in line


def test_a_project_cannot_be_made_in_a_folder_that_is_not_writable(empty: Site) -> None:
    mode = empty.folder.stat().st_mode
    empty.folder.chmod(mode & ~0o222)
    try:
        run = without_privileges(empty, "nimbus:project:init")
    finally:
        empty.folder.chmod(mode)
    assert (run.status, len(run.said.splitlines())) == (2, 1), run.said
    assert "permission denied" in run.said


def test_who_runs_now_is_named(site: Site) -> None:
    with site.start("watch") as watch:
        watch.until("Watching")
        assert site.doit("nimbus:doctor").status == 0
        watch.interrupt()


# --- targets in the network ---------------------------------------------------------------------------


def test_the_rest_api_is_asked_for_its_namespace_its_clock_and_its_records(site: Site) -> None:
    with Fake() as fake:
        target = Cloudflare(fake)
        assert site.doit("upload", **target.environment).status == 0
        before = fake.state()
        run = site.doit("nimbus:doctor", "--json", **target.environment)
        assert (run.status, fake.state()) == (0, before)
        assert {"clock", "store", "queue", "credentials"} <= {check for check, _, _ in found(run)}
        assert target.environment["CLOUDFLARE_API_TOKEN"] not in run.said
        token = site.doit("nimbus:doctor", "--json", **target.environment | {"CLOUDFLARE_API_TOKEN": "wrong-token"})
        assert token.status == 2
        assert any("CLOUDFLARE_API_TOKEN" in step for _, step in wrong(token))
        other = site.doit("nimbus:doctor", "--json", **target.environment | {"KV_NAMESPACE_ID": "f" * 32})
        assert other.status == 2
        assert any("nothing at" in message or "not found" in message for message, _ in wrong(other))


@needs_workerd
def test_our_gateway_is_tried_for_writing_and_nothing_is_written(site: Site, tmp_path: Path) -> None:
    with Workerd(tmp_path / "kv", NIMBUS_CACHE_SECONDS=0) as workerd:
        target = Gateway(workerd)
        first = site.doit("nimbus:doctor", "--json", **target.environment)
        assert first.status == 0
        assert any("is there after its first upload" in message for _, _, message in found(first))
        assert site.doit("upload", **target.environment).status == 0
        before = target.holds()
        run = site.doit("nimbus:doctor", "--json", **target.environment)
        assert run.status == 0
        assert any("can be written" in message for _, _, message in found(run))
        assert any(check == "protocol" and level == "ok" for check, level, _ in found(run))
        assert target.holds() == before
        stranger = target.environment | {"NIMBUS_API_KEY": workerd.new_key("user_ffffffffffff")}
        assert site.doit("nimbus:doctor", **stranger).status == 2
        wrong_key = target.environment | {"NIMBUS_API_KEY": "sk_live_" + "0" * 32}
        refused = site.doit("nimbus:doctor", "--json", **wrong_key)
        assert refused.status == 2
        assert any("does not accept the credentials" in message for message, _ in wrong(refused))


def test_a_target_that_does_not_answer_is_a_problem_in_good_time(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        environment = {
            "NIMBUS_TARGET": "gateway",
            "NIMBUS_WORKER_URL": f"http://127.0.0.1:{port}",
            "NIMBUS_API_KEY": "sk_live_" + "0" * 32,
        }
        site.settings("[target]\nread_timeout = 0.3")
        run = site.doit("nimbus:doctor", "--json", **environment)
        assert run.status == 2
        assert any("does not answer: no response in time" in message for message, _ in wrong(run))


def test_a_clock_that_is_wrong_and_a_gateway_of_another_version_are_told(site: Site) -> None:
    with _gateway(protocol=9, date="Tue, 01 Jan 2030 00:00:00 GMT") as url:
        environment = {"NIMBUS_TARGET": "gateway", "NIMBUS_WORKER_URL": url, "NIMBUS_API_KEY": "of-my-own-worker"}
        run = site.doit("nimbus:doctor", "--json", **environment)
    told = dict(wrong(run))
    assert run.status == 2
    assert any("clock is" in message and "behind" in message for message in told)
    assert "Run: pip install --upgrade nimbus-tasks" in told.values()
    assert "of-my-own-worker" not in run.said


@contextlib.contextmanager
def _gateway(protocol: int, date: str) -> Iterator[str]:
    """Run a gateway that only greets, at another time than ours."""
    told = f'{{"protocol":{protocol},"store":"s","user":"u","limits":{{"pairs":9,"bytes":99,"keys":9}}}}'.encode()

    class Greets(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = told if self.path == "/" else b"{}"
            self.send_response_only(200 if self.path == "/" else 404)
            for name, value in (("Date", date), ("Content-Type", "application/json"), ("Content-Length", len(body))):
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Greets)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_project_that_is_asked_for_is_the_one_of_the_settings(site: Site) -> None:
    assert f"{PROJECT} (Swiss Watch Repair), to sqlite" in site.doit("nimbus:doctor").out
