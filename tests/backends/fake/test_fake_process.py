"""The process: how it starts and ends, what it keeps, what it tells of itself."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from edge.fake import ACCOUNT, NAMESPACE, SECONDS, Fake, refusal, result

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE = "nimbus_tasks.backends.kv.fake"
PACKAGE = Path(__file__).parents[3] / "nimbus_tasks"


def start(*arguments: str, stdin: int = subprocess.DEVNULL, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CLOUDFLARE_API_TOKEN": "token", **environment},
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


# --- start and end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_in_one_line_and_ends_well_by_a_signal(number: int) -> None:
    process = start()
    assert process.stdout
    line = json.loads(process.stdout.readline())
    assert line == {"url": line["url"], "pid": process.pid}
    assert urlsplit(line["url"])[:3] == ("http", f"127.0.0.1:{urlsplit(line['url']).port}", "/client/v4")
    with httpx.Client() as client:
        # A connection that stays open holds nothing up. That standard input has ended does not matter here.
        assert client.get(line["url"]).status_code == 401
        process.send_signal(number)
        assert end(process) == (0, "", "")


def test_a_request_that_is_half_sent_does_not_hold_its_end_up() -> None:
    process = start()
    assert process.stdout
    address = urlsplit(json.loads(process.stdout.readline())["url"])
    with socket.create_connection((address.hostname, address.port), timeout=SECONDS) as half:
        half.sendall(b"PUT /client/v4 HTTP/1.1\r\nhost: fake\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n")
        assert half.recv(1000).startswith(b"HTTP/1.1 100 "), "it waits for the body"
        process.send_signal(signal.SIGTERM)
        assert end(process) == (0, "", "")


def test_a_client_that_goes_in_the_middle_of_its_request_leaves_no_trace(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    process = start("--journal", str(journal))
    assert process.stdout
    url = json.loads(process.stdout.readline())["url"]
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=SECONDS) as half:
        half.sendall(b"PUT /client/v4 HTTP/1.1\r\nhost: fake\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n")
        assert half.recv(1000).startswith(b"HTTP/1.1 100 ")
    assert httpx.get(url).status_code == 401
    process.send_signal(signal.SIGTERM)
    assert end(process) == (0, "", "")
    assert journal.read_text().count("\n") == 1


def test_it_ends_when_standard_input_does_if_it_is_told_to() -> None:
    process = start("--until-stdin-closes", stdin=subprocess.PIPE)
    assert process.stdout
    assert process.stdin
    process.stdout.readline()
    process.stdin.write("what comes in means nothing\n")
    process.stdin.flush()
    assert process.poll() is None
    assert end(process) == (0, "", "")


def test_it_listens_on_this_machine_alone(fake: Fake) -> None:
    port = urlsplit(fake.url).port
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    addresses = {
        line.split()[1] for line in listening.splitlines() if f":{port:04X} " in line and line.split()[3] == "0A"
    }
    assert addresses == {f"0100007F:{port:04X}"}


def test_the_fake_says_in_one_line_that_its_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = end(start("--port", str(port)))
    assert (status, out) == (2, "")
    assert err.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--account", "me"],
        ["--namespace", "NIMBUS_PAGES"],
        ["--namespace", f"{NAMESPACE.upper()}=TITLE"],
        ["--unsuccessful", "2"],
        ["--lag", "-1"],
        ["--lag", "nan"],
        ["--requests", "-1"],
        ["--daily-writes", "many"],
    ],
)
def test_an_option_that_cannot_be_is_named(arguments: list[str]) -> None:
    status, out, err = end(start(*arguments))
    assert (status, out) == (2, "")
    assert f"argument {arguments[0]}: " in err
    assert "Traceback" not in err


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "fake.db"
    file.write_text("this is no database, and long enough to be one" * 100)
    status, out, err = end(start("--file", str(file)))
    assert (status, out) == (2, "")
    assert str(file) in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
@pytest.mark.parametrize("program", ["kv.fake", "blobs.fake_pinata"])
def test_without_its_extra_it_says_what_to_install(tmp_path: Path, missing: str, program: str) -> None:
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError('no', name='{missing}')")
    command = [sys.executable, "-m", f"nimbus_tasks.backends.{program}"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'nimbus-tasks[fake]'" in done.stderr
    assert done.stderr.count("\n") == 1


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_rest_of_the_package_and_the_fake_do_not_know_each_other() -> None:
    inside = set((PACKAGE / "backends/kv/fake").rglob("*.py"))
    outside = set(PACKAGE.rglob("*.py")) - inside
    assert inside
    assert outside
    assert [name for file in outside for name in imports(file) if name.startswith(MODULE)] == []
    ours = [name for file in inside for name in imports(file) if name.startswith("nimbus_tasks")]
    assert [name for name in ours if not name.startswith(f"{MODULE}.")] == []


# --- what it keeps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, 3600])
def test_a_file_keeps_everything_over_a_kill(tmp_path: Path, lag: int) -> None:
    file = tmp_path / "fake.db"
    with Fake(file=file, lag=lag) as fake, fake.client() as kv:
        pairs = [{"key": f"k{number}", "value": "v" * 1000, "metadata": {"n": number}} for number in range(100)]
        result(kv.put("/bulk", json=pairs))
        written = fake.state()
        fake.kill()
    with Fake(file=file, lag=lag) as fake, fake.client() as kv:
        assert fake.state() == written
        assert len(result(kv.get("/keys"))) == (0 if lag else 100)
        fake.advance(lag)
        assert kv.get("/values/k7").content == b"v" * 1000
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_in_memory_nothing_is_kept() -> None:
    for _ in range(2):
        with Fake() as fake, fake.client() as kv:
            assert fake.state() == {}
            result(kv.put("/values/k", content=b"v"))


# --- what it tells ------------------------------------------------------------------------------------


def test_the_journal_has_a_line_for_each_request_before_its_answer_comes(tmp_path: Path) -> None:
    asked: list[tuple[str, str, bytes, dict[str, Any]]] = [
        ("PUT", "/values/a%2Fb", b"value", {"path": "/values/a%2Fb", "pairs": 1, "wrote": True}),
        ("GET", "/values/a%2Fb", b"", {"response_bytes": 5, "pairs": 1, "wrote": False}),
        ("GET", "/values/none", b"", {"status": 404, "wrote": False}),
        ("GET", "/keys?prefix=a&limit=10", b"", {"path": "/keys", "query": "prefix=a&limit=10", "pairs": 0}),
        ("PUT", "/bulk", b'[{"key":"k","value":"v"},{"key":"l","value":"v"}]', {"pairs": 2, "wrote": True}),
        ("PUT", "/bulk", b'[{"key":"k"}]', {"status": 400, "wrote": False}),
        ("POST", "/bulk/get", b'{"keys":["k","l","m"]}', {"pairs": 3, "wrote": False}),
        ("POST", "/bulk/delete", b'["k"]', {"pairs": 1, "wrote": True}),
        ("GET", "", b"", {"path": "/"}),
        ("GET", "/values/a/b", b"", {"path": "/values/a/b", "status": 404}),
    ]
    journal = tmp_path / "journal.jsonl"
    with Fake(journal=journal) as fake, fake.client() as kv:
        before = time.time()
        for number, (method, path, body, about) in enumerate(asked, 1):
            answer = kv.request(method, fake.namespace_url() + path, content=body)
            lines = fake.requests()
            assert len(lines) == number
            expected = {
                "method": method,
                "path": path,
                "query": "",
                "status": answer.status_code,
                "request_bytes": len(body),
                "response_bytes": len(answer.content),
                **about,
            }
            assert {name: lines[-1][name] for name in expected} == expected
            assert before <= lines[-1]["time"] <= time.time()
        kv.get(fake.namespace_url().rpartition("/")[0])
        assert fake.requests()[-1]["path"] == "/namespaces"
        kv.get(fake.namespace_url().partition("/storage")[0] + "/workers/scripts")
        assert fake.requests()[-1]["path"] == "/workers/scripts"
        httpx.get(fake.url + "/zones", headers={"authorization": "Bearer someone-elses"})
        assert (fake.requests()[-1]["path"], fake.requests()[-1]["status"]) == ("/client/v4/zones", 401)
        fake.counts()
        fake.state()
        assert len(fake.requests()) == len(asked) + 3, "what is beside the API is not in it"
        text = journal.read_text()
        for secret in (fake.token, "someone-elses", ACCOUNT, NAMESPACE, "uthorization"):
            assert secret not in text


def test_counts_are_totals_since_they_were_cleared() -> None:
    body = b'[{"key":"k","value":"v"},{"key":"l","value":"v"}]'
    with Fake() as fake, fake.client() as kv:
        kv.get("/keys")
        fake.reset()
        kv.put("/bulk", content=body)
        kv.put("/values/m", content=b"v")
        kv.put("/values/n", content=b"v")
        kv.post("/bulk/get", json={"keys": ["k", "none"]})
        kv.get("/values/m")
        kv.get("/values/none")
        kv.get("/keys")
        kv.post("/bulk/delete", json=["k", "l"])
        kv.get("/nowhere")
        counts = fake.counts()
        assert counts["requests"] == {
            "PUT /bulk": 1,
            "PUT /values/{key}": 2,
            "POST /bulk/get": 1,
            "GET /values/{key}": 2,
            "GET /keys": 1,
            "POST /bulk/delete": 1,
            "GET (no route)": 1,
        }
        assert counts["statuses"] == {"200": 7, "404": 2}
        assert {name: counts[name] for name in ("writes", "reads", "lists", "deletes")} == {
            "writes": 4,
            "reads": 3,
            "lists": 1,
            "deletes": 2,
        }
        assert counts["bytes_in"] > len(body)
        assert counts["bytes_out"] > 0
        fake.reset()
        assert fake.counts()["requests"] == {}
        assert set(fake.state()) == {"m", "n"}, "only the counts are cleared"


def test_the_state_shows_every_pair_and_how_often_it_was_written() -> None:
    with Fake(namespaces=(NAMESPACE, "f" * 32)) as fake, fake.client() as kv:
        for value in ("one", "two"):
            kv.put("/bulk", json=[{"key": "page:a", "value": value, "metadata": {"n": 1}, "expiration_ttl": 60}])
        kv.put("/values/page%3Ab", content=b"\xff\x00")
        kv.put(f"{fake.namespace_url('f' * 32)}/values/other", content="⌚".encode())
        state = fake.state()
        assert isinstance(state["page:a"].pop("expiration"), int)
        common = {"namespace": NAMESPACE, "metadata": None, "base64": False, "expiration": None, "writes": 1}
        assert state["page:a"] == {
            "key": "page:a",
            "namespace": NAMESPACE,
            "value": "two",
            "base64": False,
            "metadata": {"n": 1},
            "writes": 2,
        }
        assert state["page:b"] == {**common, "key": "page:b", "value": "/wA=", "base64": True}
        assert state["other"] == {**common, "key": "other", "value": "⌚", "namespace": "f" * 32}
        assert set(fake.state("page:")) == {"page:a", "page:b"}


@pytest.mark.parametrize("seconds", ["", "soon"])
def test_a_clock_goes_forward_by_a_number_of_seconds(fake: Fake, seconds: str) -> None:
    answer = httpx.post(fake.url.replace("/client/v4", "/_fake/clock"), params={"seconds": seconds})
    assert answer.status_code == 400


def test_an_answer_comes_after_a_body_that_is_too_large_has_been_sent(kv: httpx.Client) -> None:
    # Twice on one connection: the first answer left nothing of the body behind.
    for _ in range(2):
        assert refusal(kv.put("/values/k", content=b"x" * 101_000_000)) == (413, 10024)
    assert result(kv.get("/keys")) == []
