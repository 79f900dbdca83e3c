"""Canaries: servers that send back the credential they were sent, in every odd form, and what is left of it here."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from kit import Site
from odd_forms import ODD_FORMS, leaks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "sk_live_5ec0ffee97531fdb86420eca5ec0ffee"
ADMIN = "adm-5ecre7/+admin~0f1e2d3c4b5a"
TOKEN = 'cf"5ecre7&token%<0f1e2d3c4b5a>'
AI_KEY = "sk-proj-5ecre7_0f1e2d3c4b5a69788796"
SECRETS = {"NIMBUS_API_KEY": KEY, "NIMBUS_ADMIN_SECRET": ADMIN, "CLOUDFLARE_API_TOKEN": TOKEN, "NIMBUS_AI_KEY": AI_KEY}

BATCH = "--batch=batch_20240902_134500"
COMMANDS = [
    ("upload",),
    ("upload", "--json", "--verbose"),
    ("upload", "--dry-run"),
    ("upload", "--code-quality=quality.json", "--junit=junit.xml"),
    ("nimbus:upload", "--force"),
    ("summarize",),
    ("nimbus:reconcile", "--json"),
    ("nimbus:process", "--once"),
    ("nimbus:process", "--once", "--json"),
    ("nimbus:apply", "--dry-run"),
    ("nimbus:batch:list",),
    ("nimbus:batch:status", BATCH, "--json"),
    ("nimbus:batch:report", BATCH),
    ("nimbus:batch:retry", BATCH),
    ("nimbus:batch:cancel", BATCH),
    ("nimbus:batch:monitor", BATCH),
    ("nimbus:page:status", "--page=page_0123456789ab"),
    ("nimbus:page:log", "--page=page_0123456789ab"),
    ("nimbus:key:create", "--name=ci"),
    ("nimbus:key:list",),
    ("nimbus:key:revoke", "--name=ci"),
    ("nimbus:doctor",),
    ("nimbus:doctor", "--json"),
    ("info", "upload"),
    ("upload", f"--batch={KEY}"),
    ("nimbus:batch:status", f"--batch={TOKEN}"),
]
STATUSES = [200, 302, 400, 401, 403, 404, 409, 413, 429, 500]
TARGETS = ["gateway", "cloudflare", "openai"]


class Parrot(BaseHTTPRequestHandler):
    """Answers every request with the credential in it."""

    status = 400
    forms: Iterator[str] = itertools.cycle(ODD_FORMS)

    def _answer(self) -> None:
        sent = self.headers.get("authorization", "").removeprefix("Bearer ")
        asked = self.rfile.read(int(self.headers.get("content-length") or 0))
        said = ODD_FORMS[next(self.forms)](sent)
        body = json.dumps(self._body(said, asked)).encode()
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("retry-after", "0")
        self.send_header("x-echo", "".join(each for each in said if each.isprintable()))
        if self.status == 302:
            self.send_header("location", f"https://{sent[:9]}.example/{sent}?{sent}")
        self.end_headers()
        self.wfile.write(body)

    def _body(self, said: str, asked: bytes) -> object:
        error = {"code": "refused", "message": f"Key {said} is not for this.", "type": said}
        if self.status != 200:
            return {"success": False, "errors": [error | {"code": 10000}], "error": error, "message": said}
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            pairs = json.loads(asked)
            pairs = pairs.get("swaps", []) if isinstance(pairs, dict) else pairs
            failed = {pair["key"]: error for pair in pairs}
            limits = {"pairs": 9, "bytes": 99_999, "keys": 9, "swaps": 9}
            content = {"changes": [{"id": "block-0", "text": f"Use {said}", "reason": said}], "confidence": 1}
            return {
                **{"protocol": 1, "store": said, "user": said, "limits": limits, "error": error, "failed": failed},
                **{"confirmed": [], "swapped": [], "keys": [], "cursor": "", "values": {}, "result": {"values": {}}},
                "choices": [{"message": {"content": json.dumps(content)}}],
            }
        return error

    do_GET = do_PUT = do_POST = _answer

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(scope="module")
def parrot() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Parrot)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def site_of(folder: Path, target: str, url: str) -> Site:
    settings = "[upload]\ntries = 1\nretry_wait = 1\ngive_up_after = 2\n"
    if target == "gateway":
        settings += f'[target]\nstore = "gateway"\nworker_url = "{url}"\n'
    elif target == "cloudflare":
        settings += '[target]\nstore = "cloudflare"\naccount_id = "a"\nnamespace_id = "n"\n'
    else:
        settings += f'[process]\noptimiser = "openai"\n[openai]\nbase_url = "{url}"\nmodel = "m"\ntries = 1\n'
    site = Site.with_pages(folder, "a", "b", settings=settings)
    if target == "openai":
        site.publish()
    return site


def check(site: Site, url: str, status: int, command: tuple[str, ...]) -> None:
    """Run a command, and look for what is left of the credentials in all that it leaves."""
    Parrot.status = status
    ci = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(site / "section.md"), "CLOUDFLARE_API_BASE_URL": url}
    run = site.doit(*command, **SECRETS, **ci)
    made = [file for file in site.folder.rglob("*") if file.is_file()]
    for where, said in [("output", run.said.encode()), *((str(file), file.read_bytes()) for file in made)]:
        for secret in SECRETS.values():
            assert not leaks(said, secret), (
                f"{where} after {command} and {status}: {said[-3000:].decode(errors='replace')}"
            )


def _trials(target: str, seed: int, share: int) -> list[tuple[int, tuple[str, ...]]]:
    """Return one of `share` trials of a command with a status."""
    random_one = random.Random(f"{target} {seed}")
    commands = [each for each in COMMANDS if target != "openai" or each[0] in ("nimbus:process", "nimbus:doctor")]
    every = [(status, command) for command in commands for status in STATUSES]
    return random_one.sample(every, len(every) // share)


@pytest.mark.parametrize("target", TARGETS)
def test_a_credential_that_comes_back_goes_nowhere(tmp_path: Path, parrot: str, target: str) -> None:
    site = site_of(tmp_path, target, parrot)
    for status, command in _trials(target, seed=12, share=20 if target == "openai" else 65):
        check(site, parrot, status, command)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("target", TARGETS)
def test_no_command_leaves_a_credential(tmp_path: Path, parrot: str, target: str) -> None:
    site = site_of(tmp_path, target, parrot)
    for number, (status, command) in enumerate(_trials(target, seed=1, share=1)):
        print(number, status, *command, flush=True)
        check(site, parrot, status, command)


@pytest.mark.parametrize("where", ["https://user:{}@example.com", "https://example.com/{}", "https://example.com?k={}"])
def test_a_key_in_an_address_is_not_shown(tmp_path: Path, where: str) -> None:
    """Whether it is a credential of this process or another one."""
    site = site_of(tmp_path, "gateway", where.format(KEY))
    for key, *command in ((KEY, "nimbus:doctor", "--json"), ("another-one-0123", "upload")):
        run = site.doit(*command, NIMBUS_API_KEY=key)
        assert run.status != 0, run.said
        assert not leaks(run.said.encode(), KEY), run.said
    made = [file for file in (site / ".nimbus").rglob("*") if file.is_file() and file.name != "project.toml"]
    assert not [file for file in made if leaks(file.read_bytes(), KEY)]
