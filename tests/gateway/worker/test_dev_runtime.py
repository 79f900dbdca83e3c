"""`dev.mjs` starts and ends as a parent expects, and the configuration that users get is one that wrangler takes."""

from __future__ import annotations

import json
import os
import signal
import socket
import string
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from deadlines import wait_until
from edge.workerd import DEV, NODE_MODULES, SECONDS, Workerd

TEMPLATE = DEV.parent / "wrangler.jsonc.template"


def is_open(url: str) -> bool:
    try:
        where = urlsplit(url)
        with socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=5):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("end", ["SIGTERM", "SIGINT", "standard input"])
def test_it_ends_cleanly(tmp_path: Path, end: str) -> None:
    with Workerd(tmp_path) as worker:
        if end == "standard input":
            assert worker.process.stdin
            worker.process.stdin.close()
        else:
            worker.process.send_signal(signal.Signals[end])
        assert worker.process.wait(SECONDS) == 0
        assert not is_open(worker.url)
        assert worker.said == ""


def test_killed_outright_it_leaves_no_runtime_behind(tmp_path: Path) -> None:
    with Workerd(tmp_path) as worker:
        assert is_open(worker.url)
        worker.kill()
        wait_until(lambda: not is_open(worker.url))


def test_it_listens_on_loopback_alone(worker: Workerd) -> None:
    assert worker.url.startswith("http://127.0.0.1:")


def dev(*arguments: str, cwd: Path, **environment: str) -> tuple[int, str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NIMBUS_")}
    ended = subprocess.run(
        ["node", str(DEV), *arguments],
        cwd=cwd,
        env={**kept, **environment},
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_without_miniflare_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    status, output, error = dev("--port", "0", "--persist", "p", cwd=tmp_path, NIMBUS_NODE_MODULES=str(tmp_path))
    assert (status, output, error.count("\n")) == (2, "", 1)
    assert "npm install" in error


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        known = {"NIMBUS_NODE_MODULES": str(NODE_MODULES)}
        status, output, error = dev("--port", port, "--persist", "p", cwd=tmp_path, **known)
    assert (status, output, error) == (2, "", f"Port {port} is taken.\n")


@pytest.mark.parametrize("arguments", [["--prt", "0"], ["--port"], ["--port", "x"], ["--port", "0", "more"]], ids=str)
def test_an_option_that_is_none_is_said_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    status, output, error = dev(*arguments, cwd=tmp_path, NIMBUS_NODE_MODULES=str(NODE_MODULES))
    assert (status, output, error.count("\n")) == (2, "", 1)


def test_the_users_own_miniflare_comes_first(tmp_path: Path) -> None:
    own = tmp_path / "node_modules" / "miniflare"
    own.mkdir(parents=True)
    (own / "index.js").write_text("throw new Error('the one of the current folder')")
    _, _, error = dev("--port", "0", "--persist", "p", cwd=tmp_path, NIMBUS_NODE_MODULES=str(NODE_MODULES))
    assert "the one of the current folder" in error


def test_wrangler_takes_the_configuration_and_builds_the_worker(tmp_path: Path) -> None:
    namespaces = [{"binding": "NIMBUS_KV"}, {"binding": "NIMBUS_PAGES", "id": "1" * 32}]
    fields = {
        "name": "my-site",
        "main": str(DEV.parent / "src" / "index.js"),
        "kv_namespaces": json.dumps(namespaces),
        "project": "proj_0123456789ab",
    }
    (tmp_path / "wrangler.jsonc").write_text(string.Template(TEMPLATE.read_text()).substitute(fields))
    offline = {"WRANGLER_SEND_METRICS": "false", "CLOUDFLARE_CF_FETCH_ENABLED": "false", "CI": "1"}
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "WRANGLER_LOG_PATH": str(tmp_path)}
    ended = subprocess.run(
        [str(NODE_MODULES / ".bin" / "wrangler"), "deploy", "--dry-run", "--outdir", "built"],
        cwd=tmp_path,
        env={**os.environ, **offline, **home},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0, said
    assert "WARNING" not in said
    objects = ["NIMBUS_PROJECT", "NIMBUS_ACCOUNT", "NIMBUS_IDENTITY", "NIMBUS_USAGE"]
    for binding in [*objects, *(entry["binding"] for entry in namespaces)]:
        assert f"env.{binding}" in said
    built_worker = (tmp_path / "built" / "index.js").read_text()
    for name in ["Project", "Account", "Identity", "Usage", "default"]:
        assert name in built_worker.rsplit("export {", 1)[1]
